#!/usr/bin/env bash
# compare.sh APACHE_NAMESRV OUR_NAMESRV [ONLY]
#
# Runs commands.txt with the stock mqadmin 5.5.0 against an Apache cluster and against mqdeck and compares what it
# prints; ONLY is a regular expression of ids. Exit code 1 if something differs that exceptions.txt does not name.
# Needs a JDK 17. The jars come from a folder that holds them (ROCKETMQ_LIB) or by Maven (pom.xml).
# OUT=DIR keeps what every command printed.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$here/jars.sh"
lib="$(rocketmq_lib)" || exit 1

out="${OUT:-$(mktemp -d "${TMPDIR:-/tmp}/mqdeck-mqadmin.XXXXXX")}"
[ -n "${OUT:-}" ] || trap 'rm -rf "$out"' EXIT
mkdir -p "$out/home/conf" "$out/classes"
javac -nowarn -Xlint:-options -cp "$lib/*" -d "$out/classes" "$here/Prepared.java" "$here/Compare.java" 2>"$out/javac.out" || { cat "$out/javac.out"; exit 1; }
code=0
# The tool writes reports of clients into its current directory.
(cd "$out/home" && exec timeout "${LIMIT:-220}" java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Drocketmq.home.dir="$out/home" -Duser.home="$out/home" -Drocketmq.log.root="$out/home/logs" \
  -cp "$out/classes:$lib/*" Compare "$out" "$1" "$2" "$here/commands.txt" "$here/exceptions.txt" "${3:-.*}") || code=$?
[ "$code" -ne 124 ] || echo "INTEROP mqadmin: not done within ${LIMIT:-220} s"
exit "$code"
