SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS nightly_measurements, nightly_log;
CREATE TABLE nightly_measurements (id int PRIMARY KEY, value int NOT NULL);
INSERT INTO nightly_measurements SELECT g, g FROM generate_series(1, 2000) g;
UPDATE nightly_measurements SET value = value + 1;
CREATE TABLE nightly_log (id serial PRIMARY KEY, what text NOT NULL, approved_by text);
