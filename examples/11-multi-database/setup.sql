CREATE TABLE maintained (database text PRIMARY KEY, instance text);
INSERT INTO maintained VALUES (current_database()), (df.getvar('other_database'));
