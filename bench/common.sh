# What the benchmarks share: one private server a run, the daemon, CPU accounts, and the lines that they print. Sourced by
# each of them, with $DURABLED_PG_BIN and a PATH that has durabled, psql and pgbench.
#
# CPU is counted by the kernel for the server's processes and for the daemon, so that it can be compared on a busy
# machine, too. Rates cannot: compare the ratio, which is against pgbench or a plain table in the same run.
set -euo pipefail

directory=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
here=$(mktemp -d)
daemon=
extra=() # processes that a benchmark started beside them
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else "$@"; fi; }

cleanup() {
  local pid
  for pid in ${extra[@]+"${extra[@]}"} $daemon; do kill "$pid" 2>/dev/null || true; done
  as_postgres "$DURABLED_PG_BIN/pg_ctl" -D "$here/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$here"
}
trap cleanup EXIT

# Sets the variables that are named, with their defaults: `arguments "$@" -- scale=100 connections=16`.
arguments() {
  local given=() known name
  while [ "$1" != -- ]; do given+=("$1") && shift; done
  shift
  known=$*
  for name in "$@"; do printf -v "${name%%=*}" %s "${name#*=}"; done
  set -- ${given[@]+"${given[@]}"}
  while [ $# -gt 1 ] && [[ " $known" == *" ${1#--}="* ]]; do printf -v "${1#--}" %s "$2" && shift 2; done
  [ $# -eq 0 ] || {
    echo "usage: bench ${0##*/} $(printf '[--%s] ' ${known//=/ })" >&2
    exit 2
  }
}

sql() { psql -qXAt -v ON_ERROR_STOP=1 -U "${role:-bench}" -d bench "$@"; }
admin() { role=postgres sql "$@"; }
percent() { echo $(($1 * scale / 100 > ${2:-1} ? $1 * scale / 100 : ${2:-1})); } # of a number, at least the second one
divide() { awk "BEGIN { printf \"%.${3:-2}f\", $1 / $2 }"; }

# fsync is on: what a commit costs is a part of everything.
start_server() {
  local port=$((20000 + RANDOM % 20000))
  if [ "$(id -u)" = 0 ]; then chown postgres "$here"; fi
  as_postgres "$DURABLED_PG_BIN/initdb" -D "$here/data" -U postgres -A trust --no-sync >/dev/null
  cat >>"$here/data/postgresql.conf" <<END
port = $port
unix_socket_directories = '$here'
listen_addresses = '127.0.0.1'
max_connections = 100
shared_buffers = 512MB
max_wal_size = 8GB
shared_preload_libraries = 'pg_stat_statements'
END
  as_postgres "$DURABLED_PG_BIN/pg_ctl" -D "$here/data" -l "$here/log" -w start >/dev/null
  postmaster=$(head -1 "$here/data/postmaster.pid")
  export PGHOST=$here PGPORT=$port PGOPTIONS='-c client_min_messages=warning'
  psql -qX -U postgres -d postgres -c "create role durabled login" -c "create role bench login" \
    -c "create database bench owner durabled" >/dev/null
  admin -c "create extension pg_stat_statements" -c "grant create on schema public to durabled, bench" \
    -c "grant pg_read_all_stats, pg_monitor to bench"
  durabled init --database "user=durabled dbname=bench" >/dev/null 2>&1
  role=durabled sql -c "select df.grant_usage('bench')" >/dev/null
  sql -c "create table effects (id bigint generated always as identity primary key, v int)"
}

# start_daemon [KEY=VALUE…]: with these settings of its configuration, e.g. steps.connections=16. $link is the host and
# the port that it connects to, in place of the server's own.
start_daemon() {
  local setting name environment=()
  for setting in "$@"; do
    name=${setting%%=*}
    name=${name^^}
    environment+=("DURABLED_${name//./_}=${setting#*=}")
  done
  echo "database: \"user=durabled dbname=bench ${link:-host=$here port=$PGPORT}\"" >"$here/config.yaml"
  env ${environment[@]+"${environment[@]}"} durabled run --config "$here/config.yaml" 2>"$here/daemon.log" &
  daemon=$!
  until grep -q serving "$here/daemon.log" 2>/dev/null; do
    kill -0 "$daemon" 2>/dev/null || {
      cat "$here/daemon.log" >&2
      exit 1
    }
    sleep 0.05
  done
}
stop_daemon() {
  kill "$daemon"
  wait "$daemon" || true
  daemon=
}
knows_setting() { grep -q "^ *${1##*.}:" "$directory/../config/durabled.yaml"; }

# Microseconds of CPU: of the server with what it has ended, and of the daemon.
server_cpu() {
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v main="$postmaster" '{
    pid = $1; sub(/.*\) /, "")
    if (pid == main) ticks += $12 + $13 + $14 + $15; else if ($2 == main) ticks += $12 + $13
  } END { print ticks * 10000 }'
}
daemon_cpu() { awk '{ sub(/.*\) /, ""); print ($12 + $13) * 10000 }' "/proc/$daemon/stat"; }
daemon_memory() { awk '/^VmRSS/ { printf "%.0f\n", $2 / 1024 }' "/proc/$daemon/status"; } # MB

# measure COMMAND…: runs it and sets seconds, server_us and daemon_us, which it took.
measure() {
  local begun=${EPOCHREALTIME/./} server daemon_before=0
  server=$(server_cpu)
  [ -z "$daemon" ] || daemon_before=$(daemon_cpu)
  "$@"
  seconds=$(divide "$((${EPOCHREALTIME/./} - begun))" 1000000 4)
  server_us=$(($(server_cpu) - server))
  daemon_us=0
  [ -z "$daemon" ] || daemon_us=$(($(daemon_cpu) - daemon_before))
}

# pgbench_rate FILE SECONDS CONNECTIONS: sets rate (transactions a second) and server_us (of one); prepared statements.
pgbench_rate() {
  local output server done
  server=$(server_cpu)
  output=$(pgbench -n -U bench -c "$3" -j 2 -T "$2" -M prepared -f "$1" bench 2>/dev/null)
  rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$output")
  done=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$output")
  server_us=$(divide "$(($(server_cpu) - server))" "$done" 0)
}

# step_by_hand SECONDS CONNECTIONS: what steps are measured by, an INSERT and a checkpoint in a transaction.
step_by_hand() {
  sql -c "create table if not exists checkpoints (instance text, seq bigint generated always as identity, at timestamptz,
    kind text, node text, scope text, attempt int, data json, primary key (instance, seq))"
  cat >"$here/step.sql" <<'END'
\set v random(1, 1000000)
begin;
insert into effects (v) values (:v);
insert into checkpoints (instance, at, kind, node, scope, attempt, data) values ('i' || :v, now(), 'StepCompleted', '00000001', '', 1, '{"rows":[],"row_count":0,"columns":[],"affected":1}');
commit;
END
  pgbench_rate "$here/step.sql" "$1" "$2"
}

wait_finished() {
  while [ "$(sql -c "select exists (select from df.instances where completed_at is null)")" = t ]; do sleep 0.1; done
}
all_completed() {
  local others
  others=$(sql -c "select count(*) from df.instances where status <> 'completed'")
  [ "$others" = 0 ] || {
    echo "$others workflows did not complete" >&2
    exit 1
  }
}
forget_instances() { admin -c "truncate df.instances, df.events" -c checkpoint; }
started_to_ended() { # the median, in milliseconds
  sql -c "select round((percentile_cont(0.5) within group (order by extract(epoch from completed_at - started_at)) * 1000)::numeric, 1)
          from df.instances"
}
statements_of_daemon() {
  sql -c "select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r on r.oid = s.userid
          where r.rolname = 'durabled' and toplevel"
}

# line WHAT FIGURE RATIO SERVER DAEMON MUST; SERVER and DAEMON: microseconds of CPU a unit. Empty ones show as a dash.
line() { printf '%-50s %22s %16s %9s %9s  %s\n' "$1" "${2:--}" "${3:--}" "${4:--}" "${5:--}" "${6:-}"; }
