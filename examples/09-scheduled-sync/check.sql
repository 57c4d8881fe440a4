SELECT (SELECT count(*) = 2 AND sum(price) = 129.90 AND min(synced_at) > '2026-02-01' FROM sync_prices)
   AND (SELECT status = 'running' AND wake_at = date_trunc('hour', wake_at) AND wake_at > now()
               AND wake_at <= now() + interval '1 hour'
        FROM df.instances WHERE id = :'id') AS ok;
