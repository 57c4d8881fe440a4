CREATE TABLE customers (id int PRIMARY KEY, segment text);
INSERT INTO customers (id) SELECT generate_series(1, 25);
