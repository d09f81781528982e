#!/usr/bin/env bash
# An order by SNS and one by EventBridge, through infra/examples/producers.yaml, to the stack that the environment names
# (infra/deploy-local.sh prints it). usage: AWS_ENDPOINT_URL=... ORDERS_QUEUE_ARN=... test-producers.sh NAME
# The stack's policies must admit the topic and the rule of that NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?the name of the topic and the rule}
: "${AWS_ENDPOINT_URL:?}" "${ORDERS_QUEUE_ARN:?}"
aws=$(infra/tools.sh aws)
orderctl=target/debug/orderctl
stack=producers-$name
trap '"$aws" cloudformation delete-stack --stack-name "$stack" || true' EXIT

"$aws" cloudformation create-stack --stack-name "$stack" --template-body file://infra/examples/producers.yaml \
  --parameters "ParameterKey=OrdersQueueArn,ParameterValue=$ORDERS_QUEUE_ARN" "ParameterKey=Name,ParameterValue=$name" >/dev/null
infra/wait-for-stack.sh "$stack"

order() { # ORDER_ID
  printf '{"order_id":"%s","customer_id":"cus-1","placed_at":"%s","currency":"USD","items":[{"sku":"%s","quantity":1,"unit_price":1299}],"payment_method":"pm_card_visa"}' \
    "$1" "$(date -u +%FT%TZ)" "$name-mug"
}
"$orderctl" stock set "$name-mug" 10 >/dev/null
topic=arn:aws:sns:$AWS_REGION:000000000000:$name
"$aws" sns publish --topic-arn "$topic" --message "$(order "$name-sns")" >/dev/null
detail=$(order "$name-event" | sed 's/"/\\"/g')
failed=$("$aws" events put-events --query FailedEntryCount --output text \
  --entries "[{\"Source\":\"shop.checkout\",\"DetailType\":\"OrderPlaced\",\"Detail\":\"$detail\"}]")
[ "$failed" = 0 ] || { echo "test-producers.sh: EventBridge refused the event" >&2; exit 1; }
for id in "$name-sns" "$name-event"; do
  "$orderctl" get "$id" --wait 60
done
echo "test-producers.sh: orders by SNS and by EventBridge have run"
