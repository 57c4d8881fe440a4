SELECT (SELECT array_agg(what ORDER BY id) FROM journal) = ARRAY[
           'seat 12 taken', 'room 7 taken', 'room 7 given back: accounts_balance_check', 'seat 12 given back',
           'not booked: new row for relation "accounts" violates check constraint "accounts_balance_check"']
   AND NOT EXISTS (SELECT FROM seats WHERE taken) AND NOT EXISTS (SELECT FROM rooms WHERE taken)
   AND (SELECT balance = 300 FROM accounts) AS ok;
