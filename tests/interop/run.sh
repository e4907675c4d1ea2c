#!/usr/bin/env bash
# run.sh BINARY [go|node|mqadmin]…
#
# The stock clients of other languages and the stock mqadmin against `BINARY serve`: Go and Node beside an engine of
# their own, mqadmin beside another one and a fresh Apache RocketMQ 5.5.0. Each prints one INTEROP line.
#
# Go (1.22 or newer) is needed. Node is left out without npm, mqadmin without a JDK (17 or newer) or when the jars
# of Apache cannot be had (mqadmin/jars.sh); what is left out is said. Ports are free ones, everything written is in
# a temporary directory. Takes about two minutes; ends itself after four.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -ge 1 ] && [ -x "$1" ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
binary="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; shift
parts=" ${*:-go node mqadmin} "

BUDGET_S=240
DELAYS="1s 1s 1s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s"
work="$(mktemp -d "${TMPDIR:-/tmp}/mqdeck-interop.XXXXXX")" || exit 1
started=$SECONDS
pids=()
failed=0

finish() {
  local code=$? pid
  trap - EXIT INT TERM
  [ "$code" -ne 0 ] || code=$failed
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 1 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null
  done
  wait 2>/dev/null
  if [ "$code" -eq 0 ]; then rm -rf "$work"; else echo "interop: what was left behind is in $work"; fi
  echo "interop: $((SECONDS - started)) s of $BUDGET_S"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

wants() { case "$parts" in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
left_s() { local left=$((BUDGET_S - SECONDS + started)); echo $((left > 5 ? left : 5)); }
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that is free together with the two around it that a broker takes as well.
free_port() {
  local port
  for _ in $(seq 1 50); do
    port=$((20000 + RANDOM % 10000))
    port_open $((port - 2)) || port_open "$port" || port_open $((port + 1)) || { echo "$port"; return; }
  done
  return 1
}

# Starts an engine; prints its name server. Short delays, so that retries and checks take seconds.
start_engine() { # NAME
  local dir="$work/$1" line
  mkdir -p "$dir/home"
  printf '%s\n' '[broker]' "messageDelayLevel = \"$DELAYS\"" 'transactionTimeOut = 3000' \
    'transactionCheckInterval = 2000' > "$dir/config.toml"
  HOME="$dir/home" XDG_STATE_HOME="$dir/state" "$binary" serve --config "$dir/config.toml" \
    --data-dir "$dir/data" --namesrv-port 0 --broker-port 0 >"$dir/out" 2>"$dir/err" &
  pids+=($!)
  for _ in $(seq 1 300); do
    line="$(sed -n 's/^ready namesrv=\([^ ]*\) .*/\1/p' "$dir/out")"
    [ -z "$line" ] || { engine="$line"; return 0; }
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "mqdeck serve did not get ready: $(cat "$dir/err")"
  return 1
}

# Starts Apache's name server and broker with settings that make them answer soon.
start_apache() { # LIB
  local lib="$1" dir="$work/apache" broker
  mkdir -p "$dir/conf" "$dir/store"
  apache_port="$(free_port)" && broker="$(free_port)" || return 1
  printf '%s\n' "listenPort=$apache_port" bindAddress=127.0.0.1 "kvConfigPath=$dir/kv.json" \
    "configStorePath=$dir/namesrv.properties" > "$dir/namesrv.conf"
  printf '%s\n' brokerClusterName=DefaultCluster brokerName=mqdeck "namesrvAddr=127.0.0.1:$apache_port" \
    brokerIP1=127.0.0.1 brokerIP2=127.0.0.1 bindAddress=127.0.0.1 "listenPort=$broker" "storePathRootDir=$dir/store" \
    "storePathCommitLog=$dir/store/commitlog" mappedFileSizeCommitLog=67108864 maxIndexNum=200000 \
    maxHashSlotNum=50000 diskMaxUsedSpaceRatio=98 enablePropertyFilter=true traceTopicEnable=true \
    recallMessageEnable=true waitTimeMillsInSendQueue=5000 "messageDelayLevel=$DELAYS" \
    transactionTimeOut=3000 transactionCheckInterval=2000 > "$dir/broker.conf"
  java_server "$lib" "$dir" namesrv 128m org.apache.rocketmq.namesrv.NamesrvStartup
  for _ in $(seq 1 100); do port_open "$apache_port" && break; sleep 0.2; done
  java_server "$lib" "$dir" broker 512m org.apache.rocketmq.broker.BrokerStartup
  apache_pid="${pids[-1]}"
}

java_server() { # LIB DIR NAME HEAP CLASS
  ROCKETMQ_HOME="$2" java -Xms"$4" -Xmx"$4" -XX:MaxDirectMemorySize=256m -XX:+UseSerialGC \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-exports=java.base/sun.nio.ch=ALL-UNNAMED -Drocketmq.home.dir="$2" -Duser.home="$2" \
    -Drocketmq.log.root="$2/logs" -cp "$1/*" "$5" -c "$2/$3.conf" >"$2/$3.out" 2>&1 &
  pids+=($!)
}

apache_is_up() {
  for _ in $(seq 1 450); do
    grep -q 'boot success' "$work/apache/broker.out" 2>/dev/null && return 0
    kill -0 "$apache_pid" 2>/dev/null || break
    sleep 0.2
  done
  echo "Apache's broker did not start:"; tail -n 20 "$work/apache/broker.out"
  return 1
}

go_client() {
  (cd "$here/go" && go build -o "$work/go-interop" .) || return 1
  timeout 95 "$work/go-interop" -namesrv "$1"
}

node_client() {
  command -v npm >/dev/null || { echo "INTEROP node: left out, no npm"; return 0; }
  cp "$here"/node/package*.json "$here/node/main.js" "$work" || return 1
  (cd "$work" && timeout 60 npm ci --silent --no-audit --no-fund) >"$work/npm.out" 2>&1 \
    || { echo "INTEROP node: left out, the packages cannot be had"; return 0; }
  (cd "$work" && timeout 60 node main.js "$1")
}

compare() {
  apache_is_up || return 1
  OUT="$work/mqadmin" ROCKETMQ_LIB="$lib" LIMIT="$(left_s)" "$here/mqadmin/compare.sh" "127.0.0.1:$apache_port" "$1"
}

timed() { # NAME FUNCTION ARGS…
  local name="$1" from=$SECONDS; shift
  "$@" || { failed=1; echo "-- $name failed"; }
  echo "-- $name: $((SECONDS - from)) s"
}

lib=
if wants mqadmin; then
  if ! command -v javac >/dev/null; then echo "INTEROP mqadmin: left out, no JDK"
  elif . "$here/mqadmin/jars.sh" && lib="$(rocketmq_lib)"; then start_apache "$lib" || exit 1
  else lib=; echo "INTEROP mqadmin: left out, no jars"; fi
fi
if wants go || wants node; then
  start_engine clients || exit 1
  clients="$engine"
  if wants go; then
    command -v go >/dev/null || { echo "missing: Go, 1.22 or newer"; exit 1; }
    timed "Go client" go_client "$clients"
  fi
  if wants node; then timed "Node client" node_client "$clients"; fi
fi
if [ -n "$lib" ]; then
  start_engine admin || exit 1
  timed "mqadmin" compare "$engine"
fi
