# The jars of Apache RocketMQ 5.5.0, tools included; sourced, never run.

# Prints the folder that holds them: $ROCKETMQ_LIB, or what Maven puts into the user's cache, once.
rocketmq_lib() {
  local here lib
  if [ -n "${ROCKETMQ_LIB:-}" ]; then echo "$ROCKETMQ_LIB"; return; fi
  here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
  lib="${XDG_CACHE_HOME:-$HOME/.cache}/mqdeck/rocketmq-5.5.0"
  if [ ! -e "$lib/.complete" ]; then
    command -v mvn >/dev/null || { echo "no Maven (mvn) to fetch the jars of Apache RocketMQ" >&2; return 1; }
    mkdir -p "$lib"
    timeout 600 mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
      -DoutputDirectory="$lib" >&2 || { echo "Maven could not fetch the jars" >&2; return 1; }
    touch "$lib/.complete"
  fi
  echo "$lib"
}
