#!/usr/bin/env bash
# Runs the function under `cargo lambda watch` against a deployed stack's table and queues, invokes it with a sample
# event, and looks for the answer in the table. test-stack.sh calls this with the variables that deploy-local.sh prints.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${ORDERS_TABLE:?is set by deploy-local.sh}"
cargo_lambda=$(infra/tools.sh cargo-lambda)
aws=$(infra/tools.sh aws)
work=$(mktemp -d)
port=${INVOKE_PORT:-9123}
PAYMENT_PROVIDER=sandbox setsid "$cargo_lambda" lambda watch --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" \
  >"$work/log" 2>&1 &
watch=$!
stop() { kill -- "-$watch" 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
fail() { echo "test-cargo-lambda.sh: $1" >&2; cat "$work/log" >&2; exit 1; }

"$aws" dynamodb put-item --table-name "$ORDERS_TABLE" --item '{"pk":{"S":"STOCK#mug"},"available":{"N":"10"}}'
# The sample's order was placed on a day that has passed by now, and runs under an ID of its own.
sed "s/2026-11-24T01:00:00Z/$(date -u +%Y-%m-%dT%H:%M:%SZ)/g" infra/events/new-order.json >"$work/event.json"
for _ in $(seq 600); do # the first invocation waits for the build
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  kill -0 "$watch" 2>/dev/null || fail "cargo lambda watch ended"
  sleep 0.1
done
answer=$("$cargo_lambda" lambda invoke order-processor --invoke-address 127.0.0.1 --invoke-port "$port" \
  --data-file "$work/event.json") || fail "the invocation failed: $answer"
[ "$answer" = '{"batchItemFailures":[]}' ] || fail "the function answered: $answer"
order=$(sed -n 's/.*order_id\\": *\\"\([^\\]*\).*/\1/p' "$work/event.json" | head -1)
status=$("$aws" dynamodb get-item --table-name "$ORDERS_TABLE" --key "{\"pk\":{\"S\":\"ORDER#$order\"}}" \
  --query Item.status.S --output text)
[ "$status" = COMPLETED ] || fail "order $order is $status"
grep -q 'the deadline of the invocation has passed' "$work/log" || fail "nothing was said of the deadline in 1970"
echo "test-cargo-lambda.sh: order $order is COMPLETED under cargo lambda watch"
