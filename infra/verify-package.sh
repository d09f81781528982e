#!/usr/bin/env bash
# Builds the package twice, here and as a copy in another folder with another path to cargo's registry, and compares the
# bytes. Nothing is shared but the crates' sources and the tools.
# usage: verify-package.sh arm64 | x86_64
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?arm64 or x86_64}
here=target/lambda/order-processor
elsewhere=$PWD/target/verify-package/another-folder
rm -rf target/verify-package
mkdir -p "$elsewhere"
# What is in the repository, as it is here now.
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$elsewhere"
ln -s "${CARGO_HOME:-$HOME/.cargo}" target/verify-package/cargo
infra/build.sh "$arch"
(unset CARGO_TARGET_DIR && CARGO_HOME=$elsewhere/../cargo "$elsewhere/infra/build.sh" "$arch")
for file in "$here/bootstrap" "$here.zip"; do
  cmp "$file" "$elsewhere/$file" || { echo "verify-package.sh: $file differs when it is built in $elsewhere" >&2; exit 1; }
done
# Nor may a path of this machine be in it that both builds have in common.
for folder in "$PWD" "${CARGO_HOME:-$HOME/.cargo}"; do
  ! grep --text --quiet --fixed-strings "$folder" "$here/bootstrap" || { echo "verify-package.sh: $folder is in the function" >&2; exit 1; }
done
echo "verify-package.sh: $here.zip is the same bytes from both folders: $(python3 infra/package.py sum "$here.zip")"
