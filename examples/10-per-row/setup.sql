SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS billing_customers, billing_invoices, billing_problems;
CREATE TABLE billing_customers (id int PRIMARY KEY, hours numeric, rate numeric);
INSERT INTO billing_customers SELECT g, g, CASE WHEN g % 20 = 0 THEN NULL ELSE 100 END FROM generate_series(1, 100) g;
CREATE TABLE billing_invoices (customer int NOT NULL, total numeric NOT NULL);
CREATE TABLE billing_problems (customer int NOT NULL, message text NOT NULL);
