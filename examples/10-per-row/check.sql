SELECT (SELECT count(*) = 95 AND count(DISTINCT customer) = 95 AND sum(total) = 475000 FROM billing_invoices)
   AND (SELECT count(*) = 5 AND bool_and(message = '$c.rate is NULL') FROM billing_problems)
   AND json_array_length(df.result(:'id')) = 100 AS ok;
