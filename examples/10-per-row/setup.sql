CREATE TABLE customers (id int PRIMARY KEY, hours numeric, rate numeric);
INSERT INTO customers SELECT g, g, CASE WHEN g % 20 = 0 THEN NULL ELSE 100 END FROM generate_series(1, 100) g;
CREATE TABLE invoices (customer int NOT NULL, total numeric NOT NULL);
CREATE TABLE problems (customer int NOT NULL, message text NOT NULL);
