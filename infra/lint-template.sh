#!/usr/bin/env bash
# Public linters over template.yaml: as it is written and, because some rules fire only there, as the SAM transform leaves it.
# The tools are installed into the user's cache and need no network afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  echo "lint-template.sh: SKIPPED sam validate, cfn-lint, checkov and shellcheck: they need python3 with its venv module" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
fi
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sam=$(infra/tools.sh sam)
"$sam" validate --lint --template template.yaml
cfn_lint=$(infra/tools.sh cfn-lint)
lint() { "$cfn_lint" --append-rules cfn_lint_serverless.rules -- "$1"; }
lint template.yaml
"$(dirname "$cfn_lint")/python" - "$work" <<'PYTHON'
import copy, json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

class NoManagedPolicies:
    def load(self):
        return {}

with open("template.yaml") as source:
    template = yaml_parse(source)
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"
# A canary is the one thing that the transform itself decides by a parameter.
for name, parameters in {"all-at-once": {}, "canary": {"CanaryDeployment": "true"}}.items():
    transformed = transform(copy.deepcopy(template), parameters, NoManagedPolicies())
    for resource in transformed["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            # It wants a destination for failures, which the mapping of a queue cannot have.
            resource["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["ES1001"]}}}
    with open(f"{sys.argv[1]}/{name}.json", "w") as out:
        json.dump(transformed, out, indent=2)
PYTHON
for transformed in "$work"/*.json; do lint "$transformed"; done
grep -q AWS::CodeDeploy::DeploymentGroup "$work/canary.json" # the parameter has its effect
echo "cfn-lint: no findings in template.yaml and in what the SAM transform makes of it, with and without a canary"
checkov=$(infra/tools.sh checkov)
"$checkov" --file template.yaml --framework cloudformation --skip-download --compact --quiet
for transformed in "$work"/*.json; do
  "$checkov" --file "$transformed" --framework cloudformation --skip-download --compact --quiet
done
shellcheck=$(infra/tools.sh shellcheck)
"$shellcheck" infra/*.sh infra/local/*.sh .ci/run
echo "shellcheck: no findings"
