SELECT (SELECT count(*) = 45 AND count(DISTINCT id) = 45 AND bool_and(email = 'user' || id || '@example.org') FROM etl_target)
   AND (SELECT count(*) = 5 FROM etl_rejected)
   AND (SELECT count(*) = 0 FROM etl_staging)
   AND (SELECT bool_and(loaded = 45 AND rejected = 5) FROM etl_loads) AS ok;
