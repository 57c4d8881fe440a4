SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS report_orders, report_results;
CREATE TABLE report_orders (id int PRIMARY KEY, customer int NOT NULL, amount numeric NOT NULL, created date NOT NULL);
INSERT INTO report_orders SELECT g, g % 30, g * 1.25, date '2026-01-01' + g % 90 FROM generate_series(1, 400) g;
CREATE TABLE report_results (orders bigint, revenue numeric, customers bigint, best_day date, made_at timestamptz DEFAULT now());
