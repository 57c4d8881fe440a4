SELECT bool_and(segment = CASE WHEN id < 10 THEN 'small' ELSE 'large' END) AND count(*) = 25
   AND (SELECT count(*) = 25 FROM df.events WHERE kind = 'StepFailed' AND data -> 'error' ->> 'code' = 'http_429') AS ok
FROM customers;
