#!/usr/bin/env bash
# Tests of infra/deploy.sh and of what the SAM transform makes of its template (infra/test_deploy.py). Deploys nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  echo "test-deploy.sh: SKIPPED the tests of a deployment: they need python3 with its venv module" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
fi
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
"$(dirname "$(infra/tools.sh sam)")/python" -B infra/test_deploy.py "$@"
