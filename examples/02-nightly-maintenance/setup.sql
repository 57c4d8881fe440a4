CREATE TABLE measurements (id int PRIMARY KEY, value int NOT NULL);
INSERT INTO measurements SELECT g, g FROM generate_series(1, 2000) g;
UPDATE measurements SET value = value + 1;
CREATE TABLE maintenance_log (id serial PRIMARY KEY, what text NOT NULL, approved_by text);
