SELECT count(*) = 1 AND bool_and(job = 'job-1' AND state = 'finished' AND url = 'https://files.example.com/1.csv') AS ok
FROM exports;
