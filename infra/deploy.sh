#!/usr/bin/env bash
# Builds the function, and deploys it with template.yaml and the parameters of samconfig.toml.
# usage: [PACKAGE=ZIP] deploy.sh default|dev|staging|prod [PARAMETER=VALUE ...] [-- OPTION_OF_SAM_DEPLOY ...]
# A PARAMETER=VALUE goes before samconfig.toml. PACKAGE is deployed as it is, without a build and so without Rust: the zip of
# `make build` or of a release, compared with the .sha256 beside it if there is one, or the folder of several, of which
# order-processor-ARCHITECTURE.zip is taken.
# Every change of the function, the template or a parameter is a new version (infra/deployment.py says how): what is deployed
# by `sam deploy` alone has no hash at the end of the function's description, and may leave the alias with old parameters.
set -euo pipefail
environment=${1:-}
[ -n "$environment" ] && [ "$environment" != -- ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
shift
package=${PACKAGE:+$(realpath -- "$PACKAGE")}
cd "$(dirname "$0")/.."
parameters=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do parameters+=("$1") && shift; done
[ $# = 0 ] || shift

sam=$(infra/tools.sh sam)
deployment() { "$(dirname "$sam")/python" -B infra/deployment.py "$@"; }
arch=$(deployment architecture "$environment" "${parameters[@]:+${parameters[@]}}")
if [ -z "$package" ]; then
  PATH=$(dirname "$(infra/tools.sh cargo-lambda)"):$PATH infra/build.sh "$arch"
  package=target/lambda/order-processor.zip
fi
[ ! -d "$package" ] || package=$package/order-processor-$arch.zip
folder=target/deploy/$environment
version=$(deployment prepare "$environment" "$package" "$folder" "${parameters[@]:+${parameters[@]}}")
echo "deploy.sh: $environment: $package for $arch, as $version, with:"
cat "$folder/parameters.toml"
exec "$sam" deploy --config-file "$PWD/samconfig.toml" --config-env "$environment" --template-file "$folder/template.yaml" \
  --parameter-overrides "file://$PWD/$folder/parameters.toml" "$@"
