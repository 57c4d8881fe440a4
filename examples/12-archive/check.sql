SELECT (SELECT count(*) BETWEEN 89 AND 90 FROM log_entries)
   AND (SELECT count(*) BETWEEN 2460 AND 2470 AND count(*) = count(DISTINCT id) FROM log_archive)
   AND (SELECT count(*) = 1 AND bool_and(moved - deleted = (SELECT count(*) FROM log_archive)) FROM retention_runs) AS ok;
