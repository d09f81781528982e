#!/usr/bin/env bash
# A soak: the built function under the demonstration's traffic for a long time, on a DynamoDB Local that is restarted with its
# file again and again, while processes of the function are killed and frozen. Fails if the books do not balance, if the time
# is over before the orders are, if a process of the function grew, or if too little happened to say so.
# usage: soak.sh        by environment: SOAK_ORDERS=100000 SOAK_MINUTES=60; 1000 and 3 make a short one
# Needs Linux, npm and a JDK, and what `cargo build --locked --bins` leaves. Everything it saw is in target/soak.
set -euo pipefail
cd "$(dirname "$0")/.."
orders=${SOAK_ORDERS:-100000} minutes=${SOAK_MINUTES:-60}
seconds=$((minutes * 60))
# Often enough that a short soak has them all; in a long one a process shall live long between two of them. Who met a table
# that was away is tried again later and later, so the last restart is in time for that.
kill_every=$((seconds / 60 + 5)) freeze_every=$((seconds / 40 + 10)) last_restart=$((seconds / 2))
restart_every=$((minutes < 10 ? seconds / 5 : seconds / 10))
look_every=2
# A process is new for so long: connections are opened, the heap takes its size. Then it is compared with itself.
window=$((seconds / 20 < 120 ? seconds / 20 : 120))
out=target/soak
rm -rf "$out"
mkdir -p "$out/table"

port=8200
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
demo='' restarts=0
stop() {
  [ -z "$demo" ] || ! kill -0 "$demo" 2>/dev/null || kill "$demo"
  infra/local/dynamodb-local.sh down "$port"
}
trap stop EXIT
table() { infra/local/dynamodb-local.sh up "$port" "$out/table"; }
say() { echo "soak.sh: $1" >&2; }

# Resident kB and open files of each process of the function.
look() {
  local pid kb
  for pid in $(ps -o pid=,comm= --ppid "$demo" | awk '$2 == "order-processor" { print $1 }'); do
    kb=$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status" 2>/dev/null) || continue # it has ended
    [ -z "$kb" ] || echo "$SECONDS $pid $kb $(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l)"
  done >>"$out/samples"
}

# Each process that lived for four windows: its median in its second window against that in its last one. A quarter and
# 4 MB more memory is allowed: the allocator keeps what the largest batch took and gives it back late. A leak of 1 kB for
# each order would be 25 MB in a process's share of 100,000. And 30 files more: ten orders of a batch may each have a
# connection to the table, the queues and the payment provider, and one window may be quieter than the other.
growth() {
  awk -v window="$window" '
    function median(pid, from, to, column,    i, j, n, kept, values) {
      n = 0
      for (i = 1; i <= count[pid]; i++)
        if (at[pid, i] >= from && at[pid, i] < to) values[++n] = sample[pid, i, column]
      for (i = 2; i <= n; i++) { # by insertion: there are few
        kept = values[i]
        for (j = i - 1; j >= 1 && values[j] > kept; j--) values[j + 1] = values[j]
        values[j + 1] = kept
      }
      return values[int((n + 1) / 2)]
    }
    {
      if (!($2 in count)) first[$2] = $1
      i = ++count[$2]; at[$2, i] = last[$2] = $1; sample[$2, i, "kb"] = $3; sample[$2, i, "files"] = $4
    }
    END {
      for (pid in count) {
        lived = last[pid] - first[pid]
        if (lived < 4 * window) continue
        early = median(pid, first[pid] + window, first[pid] + 2 * window, "kb")
        late = median(pid, last[pid] - window, last[pid] + 1, "kb")
        early_files = median(pid, first[pid] + window, first[pid] + 2 * window, "files")
        late_files = median(pid, last[pid] - window, last[pid] + 1, "files")
        if (early == "" || late == "") continue # not looked at for so long, as the table was away
        grew = late > early * 1.25 + 4096 || late_files > early_files + 30
        printf "%6d lived %5d s: %6d -> %6d kB, %3d -> %3d files%s\n",
          pid, lived, early, late, early_files, late_files, grew ? "  GREW" : ""
        compared++
        failed += grew
      }
      if (!compared) print "no process lived long enough to be compared with itself"
      exit (!compared || failed)
    }' "$out/samples"
}

endpoint=$(table)
say "$orders orders within $minutes min; kill -9 every $kill_every s, a freeze every $freeze_every s, the table restarted every $restart_every s"
# It has the deadline itself, so that what is left can be told.
AWS_ENDPOINT_URL_DYNAMODB=$endpoint target/debug/orderctl demo --orders "$orders" --within "${minutes}m" \
  --kill-every "${kill_every}s" --freeze-every "${freeze_every}s" --log "$out/log" >"$out/account" 2> >(tee "$out/progress" >&2) &
demo=$!
SECONDS=0 next_restart=$restart_every
while kill -0 "$demo" 2>/dev/null; do
  look
  if [ "$SECONDS" -ge "$next_restart" ] && [ "$SECONDS" -le "$last_restart" ]; then
    infra/local/dynamodb-local.sh down "$port"
    table >/dev/null
    restarts=$((restarts + 1)) next_restart=$((next_restart + restart_every))
    say "the table is back after restart $restarts"
  fi
  [ "$SECONDS" -lt $((seconds + 120)) ] || { say "the demonstration does not end"; kill "$demo"; }
  sleep "$look_every"
done
problems=()
wait "$demo" || problems+=("the demonstration failed: what the function said is in $out/log")
demo=''
cat "$out/account"
echo
echo "The table was restarted $restarts times. Processes of the function, early and late in their lives:"
growth || problems+=("a process grew, or none could be compared")
[ "$restarts" -ge 2 ] || problems+=("the table was restarted fewer than twice: SOAK_ORDERS are too few for SOAK_MINUTES")
for problem in "${problems[@]+"${problems[@]}"}"; do say "$problem"; done
[ ${#problems[@]} -eq 0 ] || exit 1
echo "The soak found nothing in $SECONDS s."
