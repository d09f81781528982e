#!/usr/bin/env bash
# Deploys template.yaml, with the function as `cargo build` left it, to a local server by CloudFormation, and prints what a
# test needs to find it as KEY=value lines: the stack's outputs, the endpoint and the server's credentials.
# usage: AWS_ENDPOINT_URL=http://127.0.0.1:4700 deploy-local.sh [STACK] [PARAMETER=VALUE ...]
# BOOTSTRAP names another executable. With AWS_ENDPOINT_URL_DYNAMODB (known to the server too) the table is there.
set -euo pipefail
cd "$(dirname "$0")/.."
stack=${1:-order-processor}
shift $(($# > 0))
bootstrap=${BOOTSTRAP:-target/debug/order-processor}
: "${AWS_ENDPOINT_URL:?names the local server, see infra/local/}"
[ -x "$bootstrap" ] || { echo "deploy-local.sh: no $bootstrap, run: cargo build --locked --bins" >&2; exit 1; }

# Never anybody's own account: local servers take any credentials, AWS does not take these.
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=''
unset AWS_PROFILE AWS_SESSION_TOKEN
aws=$(infra/tools.sh aws)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What `sam build` and `sam package` do, without a release build.
cp template.yaml "$work/template.yaml"
mkdir "$work/function"
cp "$bootstrap" "$work/function/bootstrap"
sed -i.bak 's|^\( *CodeUri:\) \.$|\1 function|' "$work/template.yaml"
grep -q 'CodeUri: function$' "$work/template.yaml" || { echo "deploy-local.sh: no CodeUri to replace" >&2; exit 1; }
bucket=$stack-code
"$aws" s3 mb "s3://$bucket" >/dev/null 2>&1 || true # there already
"$aws" cloudformation package --template-file "$work/template.yaml" --s3-bucket "$bucket" \
  --output-template-file "$work/packaged.yaml" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; } # it draws a progress bar
case $(uname -m) in aarch64 | arm64) machine=arm64 ;; *) machine=x86_64 ;; esac
# From the bucket, as it is longer than the 51,200 bytes that a request can carry.
"$aws" s3 cp --only-show-errors "$work/packaged.yaml" "s3://$bucket/packaged.yaml"
# --parameters of create-stack wants ParameterKey=..,ParameterValue=..
parameters=()
[[ $* == *Monitoring=* ]] || set -- Monitoring=false "$@" # local servers have no metric math, or hang on it
for parameter in "Architecture=$machine" "$@"; do
  parameters+=("ParameterKey=${parameter%%=*},ParameterValue=\"${parameter#*=}\"")
done
"$aws" cloudformation create-stack --stack-name "$stack" --template-url "$AWS_ENDPOINT_URL/$bucket/packaged.yaml" \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameters "${parameters[@]}" >/dev/null
infra/wait-for-stack.sh "$stack"

outputs=$("$aws" cloudformation describe-stacks --stack-name "$stack" --output text \
  --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]')
table=$(awk '$1 == "OrdersTableName" { print $2 }' <<<"$outputs")
if [ -n "${AWS_ENDPOINT_URL_DYNAMODB:-}" ]; then
  "$aws" dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST --key-schema AttributeName=pk,KeyType=HASH \
    --attribute-definitions AttributeName=pk,AttributeType=S AttributeName=parked_from,AttributeType=S --global-secondary-indexes \
    'IndexName=parked,KeySchema=[{AttributeName=parked_from,KeyType=HASH}],Projection={ProjectionType=KEYS_ONLY}' >/dev/null
  echo "AWS_ENDPOINT_URL_DYNAMODB=$AWS_ENDPOINT_URL_DYNAMODB"
fi
while read -r name value; do # OrdersQueueUrl becomes ORDERS_QUEUE_URL
  echo "$(sed -E 's/([a-z])([A-Z])/\1_\2/g' <<<"$name" | tr '[:lower:]' '[:upper:]')=$value"
done <<<"$outputs"
printf '%s\n' "ORDERS_TABLE=$table" "STACK_NAME=$stack" "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL" "AWS_REGION=$AWS_REGION" "AWS_DEFAULT_REGION=$AWS_REGION" \
  "AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY"
