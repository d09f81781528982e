#!/usr/bin/env bash
# Builds the Lambda package target/lambda/order-processor.zip, whose only file is `bootstrap`. The same sources make the
# same package with the same tools, whatever folder they are in (infra/verify-package.sh).
# usage: build.sh arm64 | x86_64
# With cargo-lambda for either architecture and for Amazon Linux's C library; with plain cargo for this machine's own.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?arm64 or x86_64}
case $arch in arm64) target=aarch64-unknown-linux-gnu ;; x86_64) target=x86_64-unknown-linux-gnu ;; *) exit 2 ;; esac
command -v python3 >/dev/null || { echo "build.sh: needs python3 for the package" >&2; exit 1; }
out=target/lambda/order-processor
# Panics name their source file, and so would the folders of this machine. As configuration, because cargo-lambda adds the
# processor there, and cargo leaves out what is there if the caller's variables have flags.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
remap=("--remap-path-prefix=$PWD=." "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
what=(--release --locked --no-default-features --bin order-processor --config "build.rustflags=['${remap[0]}', '${remap[1]}']")
rm -f "$out/bootstrap" "$out.zip" # what is there afterwards is of this build
if command -v cargo-lambda >/dev/null; then
  # cargo-lambda would have rustup download a missing target without asking.
  if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
    echo "build.sh: a package for $arch needs: rustup target add $target" >&2
    exit 1
  fi
  flag=() && [ "$arch" = x86_64 ] || flag=(--arm64)
  cargo lambda build "${what[@]}" "${flag[@]:+${flag[@]}}"
else
  host=$(rustc -vV | sed -n 's/^host: //p')
  [ "$host" = "$target" ] || {
    echo "build.sh: this machine is $host; a package for $arch needs cargo-lambda (infra/tools.sh cargo-lambda installs it)" >&2
    exit 1
  }
  cargo build "${what[@]}"
  mkdir -p "$out" && cp target/release/order-processor "$out/bootstrap"
  # provided.al2023 has glibc 2.34; a binary that wants a newer one does not start there.
  newest=$(grep -ao 'GLIBC_2\.[0-9]*' "$out/bootstrap" | sort -uV | tail -1)
  [ "$(printf '%s\n' GLIBC_2.34 "$newest" | sort -V | tail -1)" = GLIBC_2.34 ] || {
    echo "build.sh: the function wants $newest, but provided.al2023 has GLIBC_2.34; build it with cargo-lambda" >&2
    exit 1
  }
fi
python3 infra/package.py pack "$out/bootstrap" "$arch" "$out.zip"
echo "$out.zip: $(wc -c <"$out.zip") bytes, $arch (deploy it with Architecture=$arch)"
