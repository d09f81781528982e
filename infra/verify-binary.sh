#!/usr/bin/env bash
# Kills, freezes and races of the built function (tests/it/binary) with the table on a DynamoDB that is not the embedded one:
# the server in BINARY_TEST_ENDPOINT, else DynamoDB Local, which is started for the tests (needs npm and a JDK) and ended
# after them. VERIFY=1 takes the wide bounds and writes the report.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${BINARY_TEST_ENDPOINT:-}" ]; then
  port=8100
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  trap 'infra/local/dynamodb-local.sh down "$port"' EXIT
  BINARY_TEST_ENDPOINT=$(infra/local/dynamodb-local.sh up "$port")
  export BINARY_TEST_ENDPOINT
fi
# A filter that matches nothing would pass: there must be tests to run.
tests=$(cargo test --locked --test it -- --list 'binary::')
grep -q '^binary::.*: test$' <<<"$tests" || { echo "verify-binary.sh: tests/it has no test in binary::" >&2; exit 1; }
echo "verify-binary.sh: the table is on $BINARY_TEST_ENDPOINT" >&2
# One after the other: each of them keeps a dozen processes busy by itself.
cargo test --locked --test it -- 'binary::' --nocapture --test-threads=1
