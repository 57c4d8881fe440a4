SELECT (SELECT array_agg(what ORDER BY id) FROM saga_journal) = ARRAY[
           'seat 12 taken', 'room 7 taken', 'room 7 given back: saga_accounts_balance_check', 'seat 12 given back',
           'not booked: new row for relation "saga_accounts" violates check constraint "saga_accounts_balance_check"']
   AND NOT EXISTS (SELECT FROM saga_seats WHERE taken) AND NOT EXISTS (SELECT FROM saga_rooms WHERE taken)
   AND (SELECT balance = 300 FROM saga_accounts) AS ok;
