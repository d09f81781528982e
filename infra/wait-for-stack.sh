#!/usr/bin/env bash
# Waits until a new stack is complete, one or two minutes at most, and says why if it is not. The command line's own waiter looks every
# 30 seconds. usage: wait-for-stack.sh STACK (the server and the credentials are the environment's)
set -euo pipefail
cd "$(dirname "$0")/.."
stack=${1:?the name of the stack}
aws=$(infra/tools.sh aws)
for _ in $(seq 120); do
  status=$("$aws" cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text)
  case $status in
    CREATE_COMPLETE) exit 0 ;;
    CREATE_IN_PROGRESS | REVIEW_IN_PROGRESS) sleep 0.5 ;;
    *) "$aws" cloudformation describe-stack-events --stack-name "$stack" --output text \
      --query "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]" >&2
      echo "wait-for-stack.sh: stack $stack is $status" >&2; exit 1 ;;
  esac
done
echo "wait-for-stack.sh: stack $stack is still $status" >&2
exit 1
