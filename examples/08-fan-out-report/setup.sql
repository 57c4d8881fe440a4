CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, amount numeric NOT NULL, created date NOT NULL);
INSERT INTO orders SELECT g, g % 30, g * 1.25, date '2026-01-01' + g % 90 FROM generate_series(1, 400) g;
CREATE TABLE reports (orders bigint, revenue numeric, customers bigint, best_day date, made_at timestamptz DEFAULT now());
