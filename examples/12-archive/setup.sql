SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS archive_log, archive_old, archive_runs;
CREATE TABLE archive_log (id int PRIMARY KEY, at timestamptz NOT NULL, text text NOT NULL);
INSERT INTO archive_log SELECT g, now() - g * interval '1 day', 'entry ' || g FROM generate_series(1, 3500) g;
CREATE TABLE archive_old (id int NOT NULL, at timestamptz NOT NULL, text text NOT NULL);
CREATE TABLE archive_runs (moved bigint NOT NULL, deleted bigint NOT NULL);
