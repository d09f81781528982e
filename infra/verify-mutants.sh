#!/usr/bin/env bash
# Mutants of the pure core: each change that cargo-mutants makes to a decision must fail a unit test, or be explained in
# tests/mutants/survivors.md. The core is built as a crate of its own, with the dependencies that Cargo.lock pins: a mutant of
# the whole package takes ten times as long. Writes target/verification/8-mutants.md.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=(answer clock delivery letter order protocol record workflow)
core=target/mutants/core
found=target/mutants/mutants.out
started=$SECONDS

mkdir -p "$core" target/verification
rm -rf "$core/src"
mkdir -p "$core/src/store"
cp tests/mutants/core.toml "$core/Cargo.toml"
cp Cargo.lock "$core/Cargo.lock"
cp tests/mutants/services.rs "$core/src/services.rs"
for module in "${modules[@]}" store/expression; do
  cp "src/$module.rs" "$core/src/$module.rs"
  [ ! -d "src/$module" ] || cp -R "src/$module" "$core/src/$module"
done
{
  printf 'pub mod %s;\n' "${modules[@]}" services
  echo 'pub mod store { use serde_dynamo::AttributeValue; mod expression; }'
} >"$core/src/lib.rs"

cargo_mutants=$(infra/tools.sh cargo-mutants)
# Few random cases, always the same: what fails a test today fails it tomorrow.
export PROPTEST_CASES=16 PROPTEST_RNG_SEED=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=true
export RUSTFLAGS=--cap-lints=allow RUST_BACKTRACE=0
unset CARGO_TARGET_DIR # each job builds in a folder of its own
echo "verify-mutants.sh: the tests of the core as it is" >&2
cargo test --quiet --manifest-path "$core/Cargo.toml" >&2
status=0
"$cargo_mutants" mutants --dir "$core" --output target/mutants --exclude src/services.rs \
  --jobs "$(getconf _NPROCESSORS_ONLN)" --copy-target=true --baseline=skip --timeout 20 --build-timeout 120 \
  --colors never --no-times >&2 || status=$?
case $status in 0 | 2 | 3) ;; *) echo "verify-mutants.sh: cargo-mutants ended with $status" >&2; exit 1 ;; esac

count() { wc -l <"$found/$1.txt"; }
sorted() { sed '/^$/d' | sort; }
each() { # WORDS MUTANTS
  local mutant
  while read -r mutant; do [ -z "$mutant" ] || printf -- "- %s: \`%s\`\n" "$1" "$mutant"; done <<<"$2"
}
# Without the place in the file, which every edit moves.
survived=$(sed -E 's/^([^:]+):[0-9]+:[0-9]+:/\1:/' "$found/missed.txt" | sorted)
explained=$(sed -n "s/^- \`\(.*\)\`\$/\1/p" tests/mutants/survivors.md | sorted)
unexplained=$(comm -13 <(sorted <<<"$explained") <(sorted <<<"$survived"))
caught_by_now=$(comm -23 <(sorted <<<"$explained") <(sorted <<<"$survived"))
[ -s "$found/caught.txt" ] || { echo "verify-mutants.sh: no mutant was tested" >&2; exit 1; }
all=$(cat "$found"/{caught,timeout,missed,unviable}.txt)
files=$(cut -d: -f1 <<<"$all" | sort -u)
{
  printf '## Mutants of the pure core\n\n'
  echo "- $(wc -l <<<"$all") mutants of $(wc -l <<<"$files") files: $(count caught) fail a test, $(count timeout) run out of time, \
$(count unviable) do not compile, $(count missed) survive"
  each "survives" "$survived"
  each "NOT EXPLAINED" "$unexplained"
  each "explained, but does not survive" "$caught_by_now"
  [ -n "$unexplained$caught_by_now" ] || echo "- every survivor is explained in tests/mutants/survivors.md"
  printf -- '- took %ss\n\n' "$((SECONDS - started))"
} | tee target/verification/8-mutants.md
[ -z "$unexplained$caught_by_now" ]
