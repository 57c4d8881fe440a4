CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, embedding real[]);
INSERT INTO documents SELECT g, repeat('word ', g % 7 + 1) || '"' || g || '"' FROM generate_series(1, 120) g;
