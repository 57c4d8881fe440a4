SELECT count(*) = 120 AND bool_and(cardinality(embedding) = 4)
   AND (SELECT count(*) = 3 FROM df.events WHERE kind = 'StepCompleted' AND data ->> 'status' = '200')
   AND NOT EXISTS (SELECT FROM df.events WHERE strpos(data::text, 'Bearer') > 0 AND kind <> 'InstanceStarted') AS ok
FROM documents;
