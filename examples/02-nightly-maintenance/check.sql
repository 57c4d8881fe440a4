SELECT (SELECT count(*) = 1 AND bool_and(what = 'vacuumed 2000 rows' AND approved_by = 'ada') FROM nightly_log)
   AND EXISTS (SELECT FROM df.events WHERE instance_id = :'id' AND kind = 'StepStarted' AND data ->> 'guarantee' = 'at-least-once')
   AND (SELECT reltuples = 2000 FROM pg_class WHERE oid = 'nightly_measurements'::regclass) AS ok;
