SELECT count(*) = 120 AND bool_and(cardinality(embedding) > 0)
   AND (SELECT count(*) = 3 FROM df.events WHERE instance_id = :'id' AND kind = 'StepCompleted' AND data ->> 'status' = '200')
   AND NOT EXISTS (SELECT FROM df.events WHERE instance_id = :'id' AND kind <> 'InstanceStarted' AND strpos(data::text, 'Bearer') > 0) AS ok
FROM embedding_documents;
