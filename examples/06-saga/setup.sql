SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS saga_accounts, saga_seats, saga_rooms, saga_journal;
CREATE TABLE saga_accounts (owner text PRIMARY KEY, balance numeric NOT NULL CHECK (balance >= 0));
INSERT INTO saga_accounts VALUES ('ada', 300);
CREATE TABLE saga_seats (id int PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
INSERT INTO saga_seats (id) VALUES (12);
CREATE TABLE saga_rooms (id int PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
INSERT INTO saga_rooms (id) VALUES (7);
CREATE TABLE saga_journal (id serial PRIMARY KEY, what text NOT NULL);
CREATE OR REPLACE FUNCTION saga_give_up(reason text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', reason; END $$;
