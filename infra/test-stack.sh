#!/usr/bin/env bash
# Deploys template.yaml to a local server and runs the end-to-end tests (tests/it/deployed.rs) against that stack.
# usage: test-stack.sh ministack | dynamodb-local | localstack
#   ministack       the server in AWS_ENDPOINT_URL, else one that is started for the tests and ended after them
#   dynamodb-local  the same with the table in DynamoDB Local (AWS_ENDPOINT_URL_DYNAMODB, else started likewise)
#   localstack      the server in AWS_ENDPOINT_URL, or on port 4566
# DEPLOYED_ONLY=1 leaves out what goes with one server alone: the store's tests on DynamoDB Local; on ministack producers that
# send by SNS and EventBridge, cargo-lambda, and the versions that infra/deploy.sh publishes. BOOTSTRAP names another function
# than that of `cargo build`.
# FunctionTimeout=3 makes the redelivery of an abandoned order a matter of 20 seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
server=${1:-}
started=() # "SCRIPT PORT" of what was started here
stack=order-processor-$$
answers() { local hostport=${1#*://}; hostport=${hostport%%/*}; (exec 3<>"/dev/tcp/${hostport%:*}/${hostport##*:}") 2>/dev/null; }
free_port() { local port; for port in $(seq "$1" $(($1 + 99))); do answers "http://127.0.0.1:$port" || { echo "$port"; return; }; done; }
start() { # SCRIPT FIRST_PORT
  local port
  port=$(free_port "$2")
  started+=("$1 $port")
  endpoint=$("infra/local/$1.sh" up "$port")
}
stop() {
  local one
  if [ -z "${started[*]:+x}" ] && [ -n "${settings:-}" ]; then # on somebody's server: leave no function that goes on polling
    "$(infra/tools.sh aws)" cloudformation delete-stack --stack-name "$stack" || true
  fi
  for one in "${started[@]:+${started[@]}}"; do
    # shellcheck disable=SC2086 # two words
    set -- $one && "infra/local/$1.sh" down "$2"
  done
}
trap stop EXIT

case $server in
  ministack | dynamodb-local)
    if [ "$server" = dynamodb-local ]; then
      [ -n "${AWS_ENDPOINT_URL_DYNAMODB:-}" ] || { start dynamodb-local 8000; export AWS_ENDPOINT_URL_DYNAMODB=$endpoint; }
      unset AWS_ENDPOINT_URL # the server must know where the table is: its own, started here
    else
      unset AWS_ENDPOINT_URL_DYNAMODB
    fi
    [ -n "${AWS_ENDPOINT_URL:-}" ] || { start ministack 4700; export AWS_ENDPOINT_URL=$endpoint; } ;;
  localstack)
    unset AWS_ENDPOINT_URL_DYNAMODB
    export AWS_ENDPOINT_URL=${AWS_ENDPOINT_URL:-http://127.0.0.1:4566}
    answers "$AWS_ENDPOINT_URL" || {
      echo "test-stack.sh: no LocalStack answers at $AWS_ENDPOINT_URL. Start one, for example (with an account's token):" >&2
      echo "  LOCALSTACK_AUTH_TOKEN=... docker compose -f infra/local/compose.yaml up --detach localstack" >&2
      exit 1
    } ;;
  *) sed -n '2,10s/^# //p' "$0" >&2; exit 2 ;;
esac

producers=() # that the queue's policy admits
[ "$server" != ministack ] ||
  producers=("ProducerTopics=arn:aws:sns:us-east-1:000000000000:$stack" "ProducerRules=arn:aws:events:us-east-1:000000000000:rule/$stack")
settings=$(infra/deploy-local.sh "$stack" FunctionTimeout=3 "${producers[@]:+${producers[@]}}")
echo "test-stack.sh: stack $stack is deployed at $AWS_ENDPOINT_URL${AWS_ENDPOINT_URL_DYNAMODB:+, its table at $AWS_ENDPOINT_URL_DYNAMODB}" >&2
set -a
eval "$(sed -E "s/=(.*)/='\1'/" <<<"$settings")"
set +a
# A filter that matches nothing would pass: there must be tests to run.
tests=$(cargo test --locked --test it -- --list 'deployed::' --include-ignored)
grep -q '^deployed::.*: test$' <<<"$tests" || { echo "test-stack.sh: tests/it has no test in deployed::" >&2; exit 1; }
cargo test --locked --test it -- 'deployed::' --include-ignored
[ -z "${DEPLOYED_ONLY:-}" ] || exit 0
[ "$server" != dynamodb-local ] || STORE_TEST_ENDPOINT=$AWS_ENDPOINT_URL_DYNAMODB cargo test --locked --test it -- 'store::'
[ "$server" != ministack ] || { infra/test-producers.sh "$stack" && infra/test-cargo-lambda.sh && infra/test-versions.sh; }
