SELECT (SELECT count(*) = 95 AND count(DISTINCT customer) = 95 AND sum(total) = 475000 FROM invoices)
   AND (SELECT count(*) = 5 AND bool_and(message = '$c.rate is NULL') FROM problems)
   AND (SELECT json_array_length(df.result(id)::json) = 100 FROM df.instances WHERE label = 'per-row') AS ok;
