#!/usr/bin/env bash
# ministack (MIT, from PyPI): SQS, DynamoDB, S3, CloudFormation with the SAM transform, and a Lambda that runs `bootstrap` as
# a process; on loopback, in memory. Whatever answers on the port already is used as it is.
# usage: ministack.sh up [PORT=4700] | down [PORT=4700]        up prints the endpoint
# With Docker instead: docker compose -f infra/local/compose.yaml up --detach ministack
set -euo pipefail
port=${2:-4700}
home=${XDG_CACHE_HOME:-$HOME/.cache}/order-processor/servers/ministack
pid=$home/$port.pid log=$home/$port.log versions='ministack==1.5.33 aws-sam-translator==1.115.0'

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

install() {
  [ "$(cat "$home/venv/installed" 2>/dev/null)" = "$versions" ] && return
  python3 -c 'import venv, ensurepip' 2>/dev/null ||
    { echo "ministack.sh: needs python3 with its venv module, or a server in AWS_ENDPOINT_URL" >&2; exit 1; }
  echo "ministack.sh: installing $versions into $home" >&2
  rm -rf "$home/venv"
  python3 -m venv "$home/venv"
  # shellcheck disable=SC2086 # two packages
  "$home/venv/bin/pip" install --quiet $versions >&2
  echo "$versions" >"$home/venv/installed"
}

case ${1:-} in
  up)
    if ! answers; then
      mkdir -p "$home"
      install
      # Functions inherit its environment: they find their queues and table by AWS_ENDPOINT_URL, and nobody's own
      # credentials, profiles or keys may be in it.
      nohup env -i PATH="$PATH" HOME="$home" TMPDIR="${TMPDIR:-/tmp}" AWS_ENDPOINT_URL="http://127.0.0.1:$port" \
        ${AWS_ENDPOINT_URL_DYNAMODB:+AWS_ENDPOINT_URL_DYNAMODB="$AWS_ENDPOINT_URL_DYNAMODB"} \
        BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" "$home/venv/bin/ministack" >"$log" 2>&1 </dev/null &
      echo $! >"$pid"
      for _ in $(seq 100); do answers && break; sleep 0.1; done
      answers || { tail -20 "$log" >&2; exit 1; }
    fi
    echo "http://127.0.0.1:$port" ;;
  down) # only what up started, and only if the number is still that process
    if [ -f "$pid" ] && ps -p "$(cat "$pid")" -o args= | grep -q ministack; then kill "$(cat "$pid")"; fi
    rm -f "$pid" ;;
  *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac
