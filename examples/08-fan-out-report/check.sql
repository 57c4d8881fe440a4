SELECT count(*) = 1 AND bool_and(orders = 400 AND revenue = 100250 AND customers = 30
       AND best_day = (SELECT created FROM report_orders GROUP BY created ORDER BY sum(amount) DESC, created LIMIT 1)) AS ok
FROM report_results;
