#!/usr/bin/env bash
# The same tests on every server that can be had here, and one table of what came of it: the end-to-end tests of the deployed
# template (test-stack.sh), the kills, freezes and races of the built function (verify-binary.sh), and the store's tests.
# usage: verify-servers.sh [SERVER ...]        dynamodb-local, ministack, localstack; all of them without an argument
#   dynamodb-local and ministack are started for the tests and ended after them, if what they need is there
#   localstack runs only where LOCALSTACK_ENDPOINT says that one runs already, such as http://127.0.0.1:4566
# Needs what `cargo build --locked --all-targets` leaves. The logs are in target/servers. Fails if a suite did.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- dynamodb-local ministack localstack
logs=target/servers
rm -rf "$logs"
mkdir -p "$logs"
unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_DYNAMODB AWS_ENDPOINT_URL_SQS
rows=() failed=0 port=''
stop() { [ -z "$port" ] || infra/local/"$server".sh down "$port"; port=''; }
trap stop EXIT

# Why a server is not there; nothing if it is.
missing() {
  case $1 in
    dynamodb-local) command -v javac >/dev/null && command -v npm >/dev/null || echo "needs a JDK and npm" ;;
    ministack) python3 -c 'import venv, ensurepip' 2>/dev/null || echo "needs python3 with its venv module" ;;
    localstack) [ -n "${LOCALSTACK_ENDPOINT:-}" ] || echo "LOCALSTACK_ENDPOINT names none" ;;
    *) echo "there is no such server" ;;
  esac
}

# Sets endpoint, and port if the server was started here.
reach() {
  if [ "$1" = localstack ]; then endpoint=$LOCALSTACK_ENDPOINT; return; fi
  port=8300
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  endpoint=$(infra/local/"$1".sh up "$port")
}

row() { rows+=("$(printf '| %-14s | %-8s | %s |' "$1" "$2" "$3")"); }

# A filter that matches nothing would pass: there must be tests.
suite() { # NAME COMMAND...
  local name=$1 log=$logs/$server-$1.log result tests
  shift
  printf '%-14s %-8s ... ' "$server" "$name" >&2
  if "$@" >"$log" 2>&1 </dev/null; then result=passed; else result=FAILED; fi
  tests=$(awk '/^test result:/ { passed += $4 } END { print passed + 0 }' "$log")
  if [ "$result" = passed ] && [ "$tests" -gt 0 ]; then result="passed ($tests tests)"; else result="FAILED, see $log" failed=1; fi
  echo "$result" >&2
  row "$server" "$name" "$result"
}

for server; do
  why=$(missing "$server")
  if [ -n "$why" ]; then
    row "$server" all "not there: $why"
    continue
  fi
  reach "$server"
  suite store env STORE_TEST_ENDPOINT="$endpoint" cargo test --locked --test it -- 'store::'
  suite binary env BINARY_TEST_ENDPOINT="$endpoint" infra/verify-binary.sh
  variable=AWS_ENDPOINT_URL
  [ "$server" != dynamodb-local ] || variable=AWS_ENDPOINT_URL_DYNAMODB
  suite deployed env "$variable=$endpoint" DEPLOYED_ONLY=1 infra/test-stack.sh "$server"
  stop
done
echo '| server         | suite    | result |'
echo '|---|---|---|'
printf '%s\n' "${rows[@]}"
exit "$failed"
