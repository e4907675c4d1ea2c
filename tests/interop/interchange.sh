#!/usr/bin/env bash
# interchange.sh MQDECK ORACLE [WORK] [NAMESRV_PORT] [BROKER_PORT]
#
# One data directory goes back and forth between mqdeck (MQDECK: the binary) and Apache RocketMQ 5.5.0 (ORACLE: the folder
# with start-apache.sh), stopped cleanly and by SIGKILL. Each writes a round and each checks everything that both have
# written: by offset, position, key and unique key; consumer offsets; delayed messages. WORK keeps all files.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mqdeck="$(realpath "$1")" oracle="$(realpath "$2")" work="${3:-$(mktemp -d "${TMPDIR:-/tmp}/mqdeck-interchange.XXXXXX")}"
ns="${4:-18876}" port="${5:-18911}" lib="$2/target/lib" pid=
mkdir -p "$work/apache/store" "$work/classes"

sizes=(mappedFileSizeCommitLog=1048576 mappedFileSizeConsumeQueue=2000 maxHashSlotNum=1000 maxIndexNum=4000 maxMessageSize=65536)
# Without messageIndexSafe Apache forgets keys after a kill, its own too: it deletes the last index file and rescans less.
printf '%s\n' "${sizes[@]}" messageIndexSafe=true flushDelayOffsetInterval=1000 > "$work/apache.conf"
{
  printf 'data_dir = "%s"\n[broker]\nbrokerClusterName = "OracleCluster"\nbrokerName = "oracle-a"\n' "$work/apache/store"
  printf 'listenPort = %s\nflushDelayOffsetInterval = 1000\n' "$port"
  printf '%s\n' "${sizes[@]/=/ = }"
  printf '[namesrv]\nlistenPort = %s\n' "$ns"
} > "$work/mqdeck.toml"
javac -nowarn -cp "$lib/*" -d "$work/classes" "$here/interchange/Interchange.java"

java_run() { java -Xmx256m -XX:TieredStopAtLevel=1 -Duser.home="$work" -cp "$work/classes:$lib/*" Interchange "$1" "127.0.0.1:$ns" "$work/manifest" "$2"; }
gone() { for _ in $(seq 600); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done; return 1; }
mqdeck_start() {
  "$mqdeck" serve --config "$work/mqdeck.toml" > "$work/mqdeck.out" 2>> "$work/mqdeck.err" & pid=$!
  for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return; sleep 0.1; done
  return 1
}
mqdeck_stop() { kill -"$1" "$pid"; wait "$pid" || [ "$1" = KILL ]; pid=; }
apache_start() { BROKER_CONF="$work/apache.conf" "$oracle/start-apache.sh" "$work/apache" "$ns" "$port"; }
apache_stop() {
  if [ "$1" = KILL ]; then kill -KILL "$(cat "$work/apache/broker.pid")"; gone "$(cat "$work/apache/broker.pid")"; fi
  "$oracle/stop-apache.sh" "$work/apache"
}
trap '[ -z "$pid" ] || kill "$pid"; "$oracle/stop-apache.sh" "$work/apache" > /dev/null 2>&1 || true' EXIT

round=0
for signal in TERM KILL; do
  for broker in mqdeck apache; do
    echo "== $broker, then $signal"
    "${broker}_start"
    [ "$round" = 0 ] || java_run check "$round"
    round=$((round + 1))
    java_run fill "$round"
    [ "$signal" = TERM ] || sleep 12 # positions are written every few seconds
    "${broker}_stop" "$signal"
  done
done
echo "== mqdeck at last"
mqdeck_start
java_run check "$round"
mqdeck_stop TERM
echo "INTERCHANGE ok"
