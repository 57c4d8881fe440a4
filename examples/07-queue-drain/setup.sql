CREATE TABLE jobs (id int PRIMARY KEY, payload int NOT NULL, state text NOT NULL DEFAULT 'new', outcome text);
INSERT INTO jobs SELECT g, g % 8 FROM generate_series(1, 24) g;
