#!/usr/bin/env bash
# Every rung of the verification with its wide bounds, one after the other, each with both cores to itself. Writes
# target/verification.md, prints it without the counterexamples, and fails if a rung did; the others are run all the same.
# Rung 6 runs on the server in BINARY_TEST_ENDPOINT, else on DynamoDB Local (needs npm and a JDK).
# docs/verification.md says what each rung proves.
set -euo pipefail
cd "$(dirname "$0")/.."
export VERIFY=1 LC_ALL=C
report=target/verification.md sections=target/verification logs=target/verification/logs
table=() failed=() warnings=()

# rung NAME WHAT COMMAND...: runs it, and keeps what it says.
rung() {
  local name=$1 what=$2 log=$logs/$1.log took result TIMEFORMAT='%0R s | %0U s'
  shift 2
  printf '%-12s %s ... ' "$name" "$what" >&2
  if took=$({ time "$@" >"$log" 2>&1 </dev/null; } 2>&1); then result=passed; else result="**FAILED**" failed+=("$name"); fi
  echo "$result, ${took%% |*}" >&2
  table+=("| $name | $what | $result | $(tests_in "$log") | $took |")
}

# How many tests passed, over all runs in the log.
tests_in() { awk '/^test result:/ { passed += $4 } END { print passed ? passed : "" }' "$1"; }

it() { cargo test --locked --test it -- "$@" --nocapture; }

# A filter that matches nothing would pass.
must_have_tests() { it "$1" && grep -q '^test result: ok\. [1-9]' "$logs/$2.log"; }

# Nothing of an earlier run may get into the report.
rm -rf "$sections" "$report"
mkdir -p "$logs"
cargo build --locked --all-targets
cargo test --locked --no-run

began=$SECONDS
rung 1-core "the pure core against references and in exhaustive tables" env PROPTEST_CASES=10000 cargo test --locked --lib
rung 2-model "the protocol, exhaustively" must_have_tests model::whatever 2-model
rung 3-guards "the same without each guard" must_have_tests model::without 3-guards
rung 4-faults "every fault between any two I/Os, and every two" must_have_tests faults:: 4-faults
rung 5-simulation "many orders, by seed" must_have_tests simulation:: 5-simulation
if [ -n "${BINARY_TEST_ENDPOINT:-}" ] || { command -v javac && command -v npm; } >/dev/null; then
  rung 6-binary "the built function, killed and frozen" infra/verify-binary.sh
else
  warnings+=("Rung 6 ran on the EMBEDDED DynamoDB only: there is neither a JDK with npm, for DynamoDB Local, nor a server in BINARY_TEST_ENDPOINT.")
  rung 6-binary "the built function, killed and frozen, on the EMBEDDED DynamoDB only" it binary:: --test-threads=1
fi
rung 7-fuzzing "whatever comes from outside" must_have_tests fuzzing:: 7-fuzzing
if [ -x infra/verify-mutants.sh ]; then
  rung 8-mutants "the tests of the pure core, when the core is changed" infra/verify-mutants.sh
fi

commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
{
  echo "# Verification"
  echo
  echo "- commit $commit"
  echo "- $(date -u +%FT%TZ), $(getconf _NPROCESSORS_ONLN) cores, $(uname -sm), $(rustc --version)"
  echo "- $(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s, without the build"
  if [ ${#failed[@]} = 0 ]; then echo "- all rungs passed"; else echo "- **FAILED: ${failed[*]}**"; fi
  for warning in "${warnings[@]}"; do echo "- **$warning**"; done
  printf '\n| rung | what | result | tests | time | processor time |\n|---|---|---|---|---|---|\n'
  printf '%s\n' "${table[@]}" ""
  for name in "${failed[@]}"; do
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    printf '## What failed: %s\n\nThe end of `%s/%s.log`:\n\n```text\n' "$name" "$logs" "$name"
    tail -60 "$logs/$name.log"
    printf '```\n\n'
  done
  for section in "$sections"/*.md; do [ ! -f "$section" ] || cat "$section"; done
} >"$report"

awk '/^  ```text$/ { story = 1 } !story { print } /^  ```$/ { story = 0 }' "$report"
echo "verify.sh: the whole report, counterexamples included, is in $report" >&2
[ ${#failed[@]} = 0 ]
