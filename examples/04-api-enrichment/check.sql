SELECT bool_and(segment = CASE WHEN id < 10 THEN 'small' ELSE 'large' END) AND count(*) = 25
   AND (SELECT count(*) = 25 FROM df.events WHERE instance_id = :'id' AND kind = 'StepFailed'
           AND data -> 'error' ->> 'code' = 'http_429') AS ok
FROM enrichment_customers;
