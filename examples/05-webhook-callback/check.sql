SELECT count(*) = 1 AND bool_and(job LIKE 'job-%' AND state = 'finished' AND url = 'https://files.example.com/1.csv') AS ok
FROM callback_exports;
