#!/usr/bin/env bash
# versus-apache.sh BINARY [ROW…]
#
# Measures `BINARY serve`, Apache RocketMQ 5.5.0 and a bare echo server one after the other, alternating, and prints
# for each row the median of both, and the median and spread of the ratios of the same round. Default settings on
# both sides (the heap of Apache's broker is 1 GiB); Apache's JIT is warmed with a million messages in every round.
# All of it on loopback; needs a JDK (17 or newer), Maven once for the jars, about 20 GB of disk.
#
# Rows: sends sends-128 pipelined pipelined-1k half-rate consume both sync-flush java; without any: all but java.
# Environment: ROUNDS=5, SECONDS_EACH=8, WARM=1000000, RESULTS=FILE (each figure as a line of JSON), ROCKETMQ_LIB=DIR.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -ge 1 ] && [ -x "$1" ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
binary="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; shift
rows=" ${*:-sends sends-128 pipelined pipelined-1k half-rate consume both sync-flush} "
. "$here/../tests/interop/mqadmin/jars.sh"
lib="$(rocketmq_lib)" || exit 1

ROUNDS=${ROUNDS:-5}
EACH=${SECONDS_EACH:-8}
WARM=${WARM:-1000000}
work="$(mktemp -d "${TMPDIR:-/tmp}/mqdeck-versus.XXXXXX")" || exit 1
results=${RESULTS:-$work/results.jsonl}
: > "$results"
pids=()

finish() {
  local code=$? pid
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  wait 2>/dev/null
  [ "$results" = "$work/results.jsonl" ] || rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

wants() { case "$rows" in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
field() { sed -n "s/.*\"$2\":\([-0-9.eE]*\).*/\1/p" <<<"$1"; }

free_port() {
  local port
  for _ in $(seq 1 50); do
    port=$((20000 + RANDOM % 10000))
    port_open $((port - 2)) || port_open "$port" || port_open $((port + 1)) || { echo "$port"; return; }
  done
  return 1
}

stop_server() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 1 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  pids=()
  rm -rf "$work/data"
}

# Each start_* sets namesrv, broker and pid.
start_mqdeck() { # FLUSH
  local line
  mkdir -p "$work/data/home"
  printf '%s\n' '[broker]' "flushDiskType = \"$1\"" > "$work/data/config.toml"
  HOME="$work/data/home" XDG_STATE_HOME="$work/data/state" "$binary" serve --config "$work/data/config.toml" \
    --data-dir "$work/data/store" --namesrv-port 0 --broker-port 0 >"$work/out" 2>"$work/err" &
  pid=$!; pids+=("$pid")
  for _ in $(seq 1 300); do
    line="$(sed -n 's/^ready namesrv=\([^ ]*\) broker=\([^ ]*\).*/\1 \2/p' "$work/out")"
    [ -z "$line" ] || { read -r namesrv broker <<<"$line"; return 0; }
    sleep 0.1
  done
  echo "mqdeck serve did not get ready: $(cat "$work/err")" >&2; return 1
}

start_apache() { # FLUSH
  local dir="$work/data" ns_port br_port
  ns_port="$(free_port)" && br_port="$(free_port)" || return 1
  namesrv="127.0.0.1:$ns_port"; broker="127.0.0.1:$br_port"
  mkdir -p "$dir/conf" "$dir/store"
  printf '%s\n' "listenPort=$ns_port" bindAddress=127.0.0.1 "kvConfigPath=$dir/kv.json" \
    "configStorePath=$dir/namesrv.properties" > "$dir/namesrv.conf"
  printf '%s\n' brokerClusterName=DefaultCluster brokerName=apache "namesrvAddr=$namesrv" brokerIP1=127.0.0.1 \
    brokerIP2=127.0.0.1 bindAddress=127.0.0.1 "listenPort=$br_port" "storePathRootDir=$dir/store" \
    "storePathCommitLog=$dir/store/commitlog" diskMaxUsedSpaceRatio=98 "flushDiskType=$1" > "$dir/broker.conf"
  java_server namesrv 128m org.apache.rocketmq.namesrv.NamesrvStartup
  for _ in $(seq 1 150); do port_open "$ns_port" && break; sleep 0.2; done
  java_server broker 1g org.apache.rocketmq.broker.BrokerStartup
  pid="${pids[-1]}"
  for _ in $(seq 1 450); do
    grep -q 'boot success' "$dir/broker.out" 2>/dev/null && { warm_apache; return; }
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  echo "Apache's broker did not start:" >&2; tail -n 20 "$dir/broker.out" >&2; return 1
}

java_server() { # NAME HEAP CLASS
  local dir="$work/data"
  ROCKETMQ_HOME="$dir" java -Xms"$2" -Xmx"$2" -XX:MaxDirectMemorySize=512m -XX:+UseG1GC \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-exports=java.base/sun.nio.ch=ALL-UNNAMED -Drocketmq.home.dir="$dir" -Duser.home="$dir" \
    -Drocketmq.log.root="$dir/logs" -cp "$lib/*" "$3" -c "$dir/$1.conf" >"$dir/$1.out" 2>&1 &
  pids+=($!)
}

# Half of it one at a time, half of it pipelined: both paths of the JIT.
warm_apache() {
  sleep 2
  load produce --topic warm --messages $((WARM / 2)) --seconds 120 >/dev/null || return 1
  load produce --topic warm --connections 8 --in-flight 64 --messages $((WARM / 2)) --seconds 120 >/dev/null
}

start_echo() {
  "$binary" bench echo --seconds 600 >"$work/out" &
  pid=$!; pids+=("$pid")
  for _ in $(seq 1 50); do
    broker="$(sed -n 's/^ready broker=//p' "$work/out")"
    [ -z "$broker" ] || { namesrv="$broker"; return 0; }
    sleep 0.1
  done
  return 1
}

load() { "$binary" bench "$1" --at "$namesrv" --broker "$broker" --pid "$pid" "${@:2}"; }

note() { # SERVER ROW JSON
  [ -n "$3" ] || { echo "$2 on $1 failed" >&2; return; }
  printf '{"round":%d,"server":"%s","row":"%s",%s\n' "$round" "$1" "$2" "${3#\{}" >> "$results"
  echo "   $1 $2: $(field "$3" tps) a second, $(field "$3" broker_cpu_us_per_message) µs, p99 $(field "$3" p99_ms) ms"
}

# The rows that need no other configuration.
measure() { # SERVER
  local server="$1" got follower
  if wants sends; then note "$server" sends "$(load produce --seconds "$EACH")"; fi
  if wants sends-128; then note "$server" sends-128 "$(load produce --size 128 --seconds "$EACH")"; fi
  if wants pipelined; then
    note "$server" pipelined "$(load produce --connections 8 --in-flight 128 --size 128 --seconds "$EACH")"
  fi
  if wants pipelined-1k; then
    note "$server" pipelined-1k "$(load produce --connections 8 --in-flight 128 --seconds "$EACH")"
  fi
  [ "$server" != echo ] || return 0
  if wants half-rate && [ -n "$half" ]; then
    note "$server" half-rate "$(load produce --rate "$half" --seconds "$EACH")"
  fi
  if wants consume; then
    load produce --topic stored --queues 8 --connections 8 --in-flight 32 --messages 400000 >/dev/null
    load consume --topic stored --queues 8 --seconds 2 >/dev/null
    note "$server" consume "$(load consume --topic stored --queues 8 --seconds "$EACH")"
  fi
  if wants both; then
    load consume --topic both --queues 16 --connections 2 --follow --seconds $((EACH + 3)) >"$work/follow" &
    follower=$!
    sleep 1
    got="$(load produce --topic both --queues 16 --connections 16 --in-flight 16 --seconds "$EACH")"
    wait "$follower"
    note "$server" both "$got"
    note "$server" both-consumed "$(cat "$work/follow")"
  fi
  if wants java; then java_producer "$server"; fi
}

# The stock benchmark client of Apache's example module.
java_producer() { # SERVER
  local out="$work/java.out" tps
  timeout $((EACH * 2 + 20)) java -Xmx512m -Drocketmq.client.logRoot="$work/logs" -Duser.home="$work" -cp "$lib/*" \
    org.apache.rocketmq.example.benchmark.Producer -n "$namesrv" -t java -w 64 -s 1024 >"$out" 2>&1 &
  local client=$!
  sleep $((EACH * 2 + 10)); kill "$client" 2>/dev/null; wait "$client" 2>/dev/null
  tps="$(sed -n 's/.*Send TPS: \([0-9]*\).*/\1/p' "$out" | tail -n 2 | head -n 1)"
  [ -n "$tps" ] && note "$1" java "{\"tps\":$tps}"
}

half=
for round in $(seq 1 "$ROUNDS"); do
  echo "== round $round"
  start_echo && measure echo; stop_server
  # Apache first: half of what it can do is the rate of both.
  start_apache ASYNC_FLUSH || exit 1
  if wants half-rate; then
    half="$(field "$(load produce --seconds 5)" tps)"
    half="$(awk -v tps="$half" 'BEGIN { printf "%d", tps / 2 }')"
  fi
  measure apache; stop_server
  start_mqdeck ASYNC_FLUSH || exit 1
  measure mqdeck; stop_server
  if wants sync-flush; then
    start_apache SYNC_FLUSH || exit 1
    note apache sync-flush "$(load produce --seconds "$EACH")"; stop_server
    start_mqdeck SYNC_FLUSH || exit 1
    note mqdeck sync-flush "$(load produce --seconds "$EACH")"; stop_server
  fi
done

# Medians of both, and of the ratios mqdeck / other of each round.
awk '
function value(line, name,   at) {
  at = match(line, "\"" name "\":[-0-9.eE+]+")
  return at ? substr(line, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : ""
}
function text(line, name) {
  match(line, "\"" name "\":\"[^\"]*\""); return substr(line, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
}
function sorted(list, n,   i, j, t) {
  for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
}
function median(list, n) { sorted(list, n); return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2 }
function put(row, figure, other,   r, n, o, m, ratios, mine, theirs, unit) {
  n = 0
  for (r = 1; r <= rounds; r++) {
    m = got[r, "mqdeck", row, figure]; o = got[r, other, row, figure]
    if (m == "" || o == "" || o == 0) continue
    n++; ratios[n] = m / o; mine[n] = m; theirs[n] = o
  }
  if (!n) return
  printf "| %-14s | %-26s | %-6s | %10.1f | %10.1f | %6.2f | %.2f–%.2f |\n", row, figure, other, \
    median(mine, n), median(theirs, n), median(ratios, n), ratios[1], ratios[n]
}
{
  r = value($0, "round"); if (r > rounds) rounds = r
  row = text($0, "row"); server = text($0, "server")
  if (!(row in seen)) { seen[row] = 1; order[++count] = row }
  for (f = split("tps broker_cpu_us_per_message p99_ms p999_ms", figures, " "); f > 0; f--) got[r, server, row, figures[f]] = value($0, figures[f])
}
END {
  print "| row            | figure                     | other  |     mqdeck |      other |  ratio | spread |"
  print "|---|---|---|---|---|---|---|"
  for (i = 1; i <= count; i++) for (f = 1; f <= 4; f++) { put(order[i], figures[f], "apache"); put(order[i], figures[f], "echo") }
}' "$results"
