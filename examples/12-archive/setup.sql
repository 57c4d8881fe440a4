CREATE TABLE log_entries (id int PRIMARY KEY, at timestamptz NOT NULL, text text NOT NULL);
INSERT INTO log_entries SELECT g, now() - g * interval '1 day', 'entry ' || g FROM generate_series(1, 3500) g;
CREATE TABLE log_archive (id int NOT NULL, at timestamptz NOT NULL, text text NOT NULL);
CREATE TABLE retention_runs (moved bigint NOT NULL, deleted bigint NOT NULL);
