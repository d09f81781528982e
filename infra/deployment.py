#!/usr/bin/env python3
"""What one deployment is made of: the parameters, the package, and a template whose version changes with either of them.

usage: deployment.py architecture ENVIRONMENT [PARAMETER=VALUE ...]
       deployment.py prepare ENVIRONMENT PACKAGE FOLDER [PARAMETER=VALUE ...]
Runs with the Python of the SAM command line, so that samconfig.toml is read as `sam deploy` reads it.

SAM publishes a version when the properties of the function change *as they are written*: a `Ref` to a parameter is the same
text whatever the parameter is, so a new memory size or payment provider would reach the queues and $LATEST, and not the
alias that is invoked. The version is therefore named after a hash of the function, the template and every parameter. SAM
puts the hash at the end of the function's description, and so of the version's, too.
"""
import hashlib
import json
import pathlib
import re
import shutil
import sys

import click
import package
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = pathlib.Path("template.yaml")
# The lines of the template that a deployment changes.
CODE = re.compile(r"^( *CodeUri:) \.$", re.MULTILINE)
VERSIONED = re.compile(r"^( *)AutoPublishAliasAllProperties: true\b.*$", re.MULTILINE)


def overrides_of(environment: str) -> dict[str, str]:
    """The parameters that samconfig.toml gives an environment."""
    section = SamConfig(".").get_all(["deploy"], "parameters", environment)
    if not section.get("stack_name"):
        raise ValueError(f"samconfig.toml has no environment {environment}")
    return CfnParameterOverridesType().convert(section.get("parameter_overrides"), None, None)


def parameters(environment: str, given: list[str]) -> dict[str, str]:
    """Every parameter of the template with its value: of the command line, else of samconfig.toml, else its default.

    Every one, because CloudFormation keeps the value of the deployment before for those that it is not told: a line that is
    taken out of samconfig.toml would go on having its effect.
    """
    declared = yaml_parse(TEMPLATE.read_text())["Parameters"]
    values = {name: str(one["Default"]) for name, one in declared.items() if "Default" in one}
    values.update(overrides_of(environment))
    for pair in given:
        name, found, value = pair.partition("=")
        if not found:
            raise ValueError(f"{pair} is not PARAMETER=VALUE")
        values[name] = value
    unknown, missing = sorted(values.keys() - declared.keys()), sorted(declared.keys() - values.keys())
    if unknown or missing:
        raise ValueError(f"template.yaml has no parameter {unknown[0]}" if unknown else f"{missing[0]} has no value")
    return values


def fingerprint(function: bytes, template: str, values: dict[str, str]) -> str:
    """What the version is named after. Of the function, not of its package: how it was compressed does not matter."""
    parts = {
        "function": hashlib.sha256(function).hexdigest(),
        "template": hashlib.sha256(template.encode()).hexdigest(),
        "parameters": values,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def deployable(template: str, code: str, version: str) -> str:
    """The template with `code` as the function's package and a version of its own."""
    template, codes = CODE.subn(rf"\1 {code}", template)
    template, versions = VERSIONED.subn(rf"\g<0>\n\1AutoPublishCodeSha256: {version}", template)
    if (codes, versions) != (1, 1):
        raise ValueError("template.yaml must have one `CodeUri: .` and one `AutoPublishAliasAllProperties: true`")
    return template


def refuse_changed(packaged: pathlib.Path) -> None:
    """Compares a package with the checksum that lies beside it, as a release has it."""
    told = packaged.with_name(packaged.name + ".sha256")
    if told.exists() and told.read_text().split()[:1] != [hashlib.sha256(packaged.read_bytes()).hexdigest()]:
        raise ValueError(f"{packaged} is not what {told.name} says")


def prepare(environment: str, packaged: str, folder: str, *given: str) -> None:
    values = parameters(environment, list(given))
    refuse_changed(pathlib.Path(packaged))
    try:
        function = package.function_of(packaged, values["Architecture"])
    except ValueError as error:
        raise ValueError(f"{packaged}: {error}") from error
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(packaged, out / "order-processor.zip")
    template = TEMPLATE.read_text()
    version = fingerprint(function, template, values)
    (out / "template.yaml").write_text(deployable(template, "order-processor.zip", version))
    # A JSON string is a TOML string as well.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items()]
    (out / "parameters.toml").write_text("".join(lines))
    print(version)


def architecture(environment: str, *given: str) -> None:
    print(parameters(environment, list(given))["Architecture"])


def main(arguments: list[str]) -> int:
    commands = {"architecture": (architecture, 1), "prepare": (prepare, 3)}
    command, least = commands.get(arguments[0] if arguments else "", (None, 0))
    if command is None or len(arguments) <= least:
        print(__doc__, file=sys.stderr, end="")
        return 2
    try:
        command(*arguments[1:])
    except (OSError, ValueError, click.BadParameter, package.zipfile.BadZipFile) as error:
        print(f"deployment.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
