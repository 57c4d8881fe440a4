SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS queue_jobs;
CREATE TABLE queue_jobs (id int PRIMARY KEY, payload int NOT NULL, state text NOT NULL DEFAULT 'new', outcome text);
INSERT INTO queue_jobs SELECT g, g % 8 FROM generate_series(1, 24) g;
