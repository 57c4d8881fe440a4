SELECT (SELECT count(*) = 2 AND bool_and(df.status(instance) = 'completed') FROM maintained)
   AND (SELECT count(*) = 1 AND bool_and(place = current_database()) FROM maintained_here)
   AND (SELECT count(*) = 2 FROM df.instances WHERE label LIKE 'maintenance of %') AS ok;
