#!/usr/bin/env bash
# AWS's DynamoDB Local on loopback, in memory, or with its file in FOLDER. Whatever answers on the port already is used as
# it is.
# usage: dynamodb-local.sh up [PORT=8000] [FOLDER] | down [PORT=8000]        up prints the endpoint
# With Docker instead: docker compose -f infra/local/compose.yaml up --detach dynamodb-local
# Its licence is for development and testing and forbids redistribution, so the copy that an npm package of AWS Amplify
# carries stays in the user's cache. Needs npm and a JDK (17 or later).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${2:-8000} folder=${3:-} package=amplify-dynamodb-simulator@2.9.30
home=${XDG_CACHE_HOME:-$HOME/.cache}/order-processor/servers/dynamodb-local
pid=$home/$port.pid log=$home/$port.log jar=$home/$package/package/emulator

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

install() {
  for tool in npm javac; do
    command -v $tool >/dev/null ||
      { echo "dynamodb-local.sh: needs $tool (a JDK and npm), Docker, or a server in AWS_ENDPOINT_URL_DYNAMODB" >&2; exit 1; }
  done
  [ -f "$jar/DynamoDBLocal.jar" ] && return
  echo "dynamodb-local.sh: installing $package into $home" >&2
  rm -rf "${home:?}/new"
  mkdir "$home/new"
  (cd "$home/new" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz)
  mv "$home/new" "$home/$package"
}

case ${1:-} in
  up)
    if ! answers; then
      where=(-inMemory)
      [ -z "$folder" ] || where=(-dbPath "$(cd "$folder" && pwd)")
      mkdir -p "$home"
      install
      cd "$jar"
      nohup java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.library.path=./DynamoDBLocal_lib \
        -cp 'DynamoDBLocal.jar:DynamoDBLocal_lib/*' "$here/DynamoDbLocal.java" "${where[@]}" -sharedDb -disableTelemetry \
        -port "$port" >"$log" 2>&1 </dev/null &
      echo $! >"$pid"
      for _ in $(seq 150); do answers && break; sleep 0.1; done
      answers || { tail -20 "$log" >&2; exit 1; }
    fi
    echo "http://127.0.0.1:$port" ;;
  down) # only what up started, and only if the number is still that process; the port is free after it
    if [ -f "$pid" ] && ps -p "$(cat "$pid")" -o args= | grep -q DynamoDbLocal; then
      kill "$(cat "$pid")"
      for _ in $(seq 100); do kill -0 "$(cat "$pid")" 2>/dev/null || break; sleep 0.1; done
    fi
    rm -f "$pid" ;;
  *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
esac
