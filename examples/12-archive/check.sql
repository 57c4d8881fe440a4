SELECT (SELECT count(*) BETWEEN 89 AND 90 FROM archive_log)
   AND (SELECT count(*) BETWEEN 2460 AND 2470 AND count(*) = count(DISTINCT id) FROM archive_old)
   AND (SELECT count(*) = 1 AND bool_and(moved - deleted = (SELECT count(*) FROM archive_old)) FROM archive_runs) AS ok;
