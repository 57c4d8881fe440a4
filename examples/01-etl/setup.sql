SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS etl_staging, etl_target, etl_rejected, etl_loads;
CREATE TABLE etl_staging (id int PRIMARY KEY, email text, amount text);
INSERT INTO etl_staging SELECT g, 'User' || g || '@Example.org ', CASE WHEN g % 10 = 0 THEN 'n/a' ELSE (g * 1.5)::text END
FROM generate_series(1, 50) g;
CREATE TABLE etl_target (id int NOT NULL, email text NOT NULL, amount numeric NOT NULL);
CREATE TABLE etl_rejected (id int NOT NULL, reason text NOT NULL);
CREATE TABLE etl_loads (loaded int NOT NULL, rejected int NOT NULL, at timestamptz NOT NULL DEFAULT now());
