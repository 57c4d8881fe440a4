SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS embedding_documents;
CREATE TABLE embedding_documents (id int PRIMARY KEY, body text NOT NULL, embedding real[]);
INSERT INTO embedding_documents SELECT g, repeat('word ', g % 7 + 1) || '"' || g || '"' FROM generate_series(1, 120) g;
