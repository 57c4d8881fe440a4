SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS callback_exports;
CREATE TABLE callback_exports (job text PRIMARY KEY, state text NOT NULL, url text);
