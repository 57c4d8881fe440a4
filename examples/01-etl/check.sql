SELECT (SELECT count(*) = 45 AND count(DISTINCT id) = 45 AND bool_and(email = 'user' || id || '@example.org') FROM target)
   AND (SELECT count(*) = 5 FROM rejected)
   AND (SELECT count(*) = 0 FROM staging)
   AND (SELECT bool_and(loaded = 45 AND rejected = 5) FROM loads) AS ok;
