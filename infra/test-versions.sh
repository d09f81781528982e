#!/usr/bin/env bash
# Deploys to a local server by infra/deploy.sh, changes parameters, deploys again, and looks at what the alias then invokes.
# usage: AWS_ENDPOINT_URL=http://127.0.0.1:4700 test-versions.sh
# BOOTSTRAP names another function than that of `cargo build`.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${AWS_ENDPOINT_URL:?names the local server, see infra/local/}"
# Never anybody's own account: local servers take any credentials, AWS does not take these.
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_PAGER='' SAM_CLI_TELEMETRY=0
unset AWS_PROFILE AWS_SESSION_TOKEN
aws=$(infra/tools.sh aws)
stack=order-processor-versions-$$
work=$(mktemp -d)
stop() { "$aws" cloudformation delete-stack --stack-name "$stack" || true; rm -rf "$work"; }
trap stop EXIT
case $(uname -m) in aarch64 | arm64) machine=arm64 ;; *) machine=x86_64 ;; esac
python3 infra/package.py pack "${BOOTSTRAP:-target/debug/order-processor}" "$machine" "$work/order-processor-$machine.zip"

fail() { echo "test-versions.sh: $1" >&2; exit 1; }
deploy() { # PARAMETER=VALUE ...
  PACKAGE=$work infra/deploy.sh dev "Architecture=$machine" Monitoring=false "$@" -- --stack-name "$stack" --no-progressbar \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "it was not deployed with: $*"; }
}
settings() { # QUALIFIER: what a version is, apart from its number and its moment
  "$aws" lambda get-function-configuration --function-name "$name" --qualifier "$1" --output json \
    --query '[MemorySize, Timeout, Role, CodeSha256, Description, Environment.Variables]'
}
invoked() { "$aws" lambda get-alias --function-name "$name" --name live --query FunctionVersion --output text; }

parameters() { # what is invoked has of the parameters that are changed here
  "$aws" lambda get-function-configuration --function-name "$name" --qualifier live --output text \
    --query '[MemorySize, Timeout, Environment.Variables.MAX_RECEIVE_COUNT, Environment.Variables.STRIPE_API_BASE]' | tr '\t' ' '
}
invokes() { local found; found=$(parameters); [ "$found" = "$1" ] || fail "what is invoked has $found, not $1"; }

default='512 60 20 https://api.stripe.com'
given=(MemorySize=1024 FunctionTimeout=30 MaxReceiveCount=9 StripeApiBase=http://127.0.0.1:1)
deploy
name=$("$aws" cloudformation describe-stacks --stack-name "$stack" --output text \
  --query "Stacks[0].Outputs[?OutputKey=='FunctionName'].OutputValue")
first=$(invoked)
invokes "$default"
deploy "${given[@]}"
second=$(invoked)
invokes '1024 30 9 http://127.0.0.1:1'
# shellcheck disable=SC2016 # a version's name
diff <(settings '$LATEST') <(settings live) || fail 'what is invoked is not what was deployed'
deploy "${given[@]}"
[ "$(invoked)" = "$second" ] || fail "the same again is another version"
deploy # without what was given for one deployment
invokes "$default"
echo "test-versions.sh: versions $first, $second and $(invoked) of $name had the parameters they were deployed with"
