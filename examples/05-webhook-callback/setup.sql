CREATE TABLE exports (job text PRIMARY KEY, state text NOT NULL, url text);
