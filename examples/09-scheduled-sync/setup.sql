SET client_min_messages = warning;   -- no notices of tables that are not there yet
DROP TABLE IF EXISTS sync_prices;
CREATE TABLE sync_prices (sku text PRIMARY KEY, price numeric NOT NULL, synced_at timestamptz NOT NULL DEFAULT now());
DROP TABLE IF EXISTS sync_failures;
CREATE TABLE sync_failures (at timestamptz NOT NULL DEFAULT now(), message text NOT NULL);
INSERT INTO sync_prices VALUES ('A-1', 8.50, '2026-01-01');
