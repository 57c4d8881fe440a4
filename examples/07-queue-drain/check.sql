SELECT count(*) FILTER (WHERE state = 'done' AND outcome = (840 / nullif(payload, 0))::text) = 21
   AND count(*) FILTER (WHERE state = 'failed' AND outcome = 'division by zero' AND payload = 0) = 3
   AND df.result(:'id')::text = '"drained"' AS ok
FROM queue_jobs;
