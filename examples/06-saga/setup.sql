CREATE TABLE accounts (owner text PRIMARY KEY, balance numeric NOT NULL CHECK (balance >= 0));
INSERT INTO accounts VALUES ('ada', 300);
CREATE TABLE seats (id int PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
INSERT INTO seats (id) VALUES (12);
CREATE TABLE rooms (id int PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
INSERT INTO rooms (id) VALUES (7);
CREATE TABLE journal (id serial PRIMARY KEY, what text NOT NULL);
CREATE FUNCTION give_up(reason text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', reason; END $$;
