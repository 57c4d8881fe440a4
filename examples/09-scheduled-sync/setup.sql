CREATE TABLE prices (sku text PRIMARY KEY, price numeric NOT NULL, synced_at timestamptz NOT NULL DEFAULT now());
INSERT INTO prices VALUES ('A-1', 8.50, '2026-01-01');
