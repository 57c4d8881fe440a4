SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS enrichment_customers;
CREATE TABLE enrichment_customers (id int PRIMARY KEY, segment text);
INSERT INTO enrichment_customers (id) SELECT generate_series(1, 25);
