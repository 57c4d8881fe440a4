SELECT (SELECT count(*) = 2 AND bool_and(df.status(instance) = 'completed') FROM fleet_databases)
   AND (SELECT count(*) = 1 AND bool_and(place = current_database()) FROM fleet_log)
   AND (SELECT count(*) = 2 FROM df.instances WHERE idempotency_key LIKE :'id' || '/%') AS ok;
