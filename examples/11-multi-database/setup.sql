SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS fleet_databases, fleet_log;
CREATE TABLE fleet_databases (database text PRIMARY KEY, instance text);
INSERT INTO fleet_databases VALUES (current_database()), ('reporting');
