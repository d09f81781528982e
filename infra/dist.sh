#!/usr/bin/env bash
# Puts the files of a release into target/dist: the package as order-processor-ARCHITECTURE.zip, its checksum, and its bill of
# materials in the format of CycloneDX (infra/sbom.py; python3 from 3.11).
# usage: dist.sh arm64 | x86_64
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?arm64 or x86_64}
name=order-processor-$arch
infra/build.sh "$arch"
mkdir -p target/dist
cp target/lambda/order-processor.zip "target/dist/$name.zip"
python3 infra/package.py sum "target/dist/$name.zip" >"target/dist/$name.zip.sha256"
python3 infra/sbom.py "$arch" target/lambda/order-processor/bootstrap >"target/dist/$name.cdx.json"
ls -l "target/dist/$name".*
