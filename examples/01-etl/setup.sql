CREATE TABLE staging (id int PRIMARY KEY, email text, amount text);
INSERT INTO staging SELECT g, 'User' || g || '@Example.org ', CASE WHEN g % 10 = 0 THEN 'n/a' ELSE (g * 1.5)::text END
FROM generate_series(1, 50) g;
CREATE TABLE target (id int NOT NULL, email text NOT NULL, amount numeric NOT NULL);
CREATE TABLE rejected (id int NOT NULL, reason text NOT NULL);
CREATE TABLE loads (loaded int NOT NULL, rejected int NOT NULL, at timestamptz NOT NULL DEFAULT now());
