"""That what is deployed is what was built and configured: infra/deploy.sh with a `sam` and a `cargo` that write down how they
were called, and the SAM transform over what it hands to `sam deploy`. infra/test-deploy.sh runs this.
"""
import contextlib
import hashlib
import io
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "infra"))

import deployment
import package
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

SAM = pathlib.Path(sys.executable).with_name("sam")
FILES = ["Makefile", "template.yaml", "samconfig.toml", "Cargo.toml", "CargoLambda.toml"]
SCRIPTS = ["deploy.sh", "deployment.py", "package.py", "build.sh", "tools.sh"]
TOOLS = ["sam", "cargo-lambda"]

# Writes down its arguments and, as cargo-lambda does, a function for the machine that it is asked for ($BROKEN: another).
CARGO = """#!/usr/bin/env bash
[ "$1 $2" = "lambda build" ] || exit 1
printf '%s\\n' "$@" >"$CALLS/cargo"
machine='\\x3e'
[[ " $* " != *" --arm64 "* ]] || machine='\\xb7'
[ -z "${BROKEN:-}" ] || machine='\\x28'
mkdir -p target/lambda/order-processor
printf "\\x7fELF\\x02\\x01\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0$machine\\0 function" >target/lambda/order-processor/bootstrap
"""
RUSTUP = "#!/bin/sh\nprintf '%s\\n' aarch64-unknown-linux-gnu x86_64-unknown-linux-gnu\n"
SAM_DEPLOY = """#!/bin/sh
printf '%s\\n' "$@" >"$CALLS/sam"
"""


def function(architecture: str, content: str = "function") -> bytes:
    machine = package.MACHINES[architecture].to_bytes(2, "little")
    return b"\x7fELF\x02\x01" + bytes(12) + machine + content.encode()


def write(path: pathlib.Path, content, mode: int = 0o644) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


class Checkout:
    """A copy of what a deployment needs, with tools that only write down what they are asked."""

    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder) / "checkout"
        for name in [*FILES, *(f"infra/{name}" for name in SCRIPTS)]:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, self.folder / name)
        self.calls = pathlib.Path(folder) / "calls"
        self.calls.mkdir()
        self.commands = pathlib.Path(folder) / "commands"
        self.cache = pathlib.Path(folder) / "cache"
        tools = self.cache / "order-processor" / "tools"
        for tool in TOOLS:  # as installed by tools.sh, in the version that it wants
            pins = subprocess.run(
                ["bash", "-c", f"sed -n 's/^  {tool}) packages=(\\(.*\\)) ;;$/\\1/p' infra/tools.sh"],
                cwd=self.folder, check=True, capture_output=True, text=True,
            ).stdout
            write(tools / tool / "installed", pins)
        write(tools / "sam/bin/sam", SAM_DEPLOY, 0o755)
        write(tools / "sam/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', 0o755)
        write(tools / "cargo-lambda/bin/cargo-lambda", "#!/bin/sh\nexit 1\n", 0o755)
        write(self.commands / "cargo", CARGO, 0o755)
        write(self.commands / "rustup", RUSTUP, 0o755)

    def environment(self, **variables: str) -> dict[str, str]:
        path = f"{self.commands}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(self.cache), "CALLS": str(self.calls), **variables}

    def deploy(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        for old in self.calls.iterdir():
            old.unlink()
        command = [str(self.folder / "infra/deploy.sh"), *arguments]
        variables = self.environment(**variables)
        return subprocess.run(command, env=variables, cwd=self.folder.parent, capture_output=True, text=True, check=False)

    def called(self, command: str) -> list[str] | None:
        """The arguments that a command got, if it was called."""
        record = self.calls / command
        return record.read_text().splitlines() if record.exists() else None

    def replace(self, name: str, before: str, after: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert before in text, f"{name} has no {before}"
        path.write_text(text.replace(before, after))

    def package(self, architecture: str, content: str = "function") -> pathlib.Path:
        built = write(self.folder.parent / f"function-{architecture}", function(architecture, content))
        packaged = self.folder.parent / f"order-processor-{architecture}.zip"
        package.pack(str(built), architecture, str(packaged))
        return packaged


def overrides(arguments: list[str]) -> dict[str, str]:
    """What `sam deploy` understands of its arguments as parameters."""
    at = arguments.index("--parameter-overrides")
    return CfnParameterOverridesType().convert((arguments[at + 1],), None, None)


class NoManagedPolicies:
    def load(self):
        return {}


def transformed(template: str, values: dict[str, str]) -> dict:
    """What CloudFormation makes of a template, whose code is in a bucket by then."""
    document = yaml_parse(template)
    document["Resources"]["OrderProcessor"]["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(document, values, NoManagedPolicies())["Resources"]


def versions(resources: dict) -> list[str]:
    return [name for name, one in resources.items() if one["Type"] == "AWS::Lambda::Version"]


class InACheckout(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.checkout = Checkout(folder.name)


class Versions(InACheckout):
    """A version is published for every change of the function, the template or a parameter, and for nothing else."""

    def setUp(self):
        super().setUp()
        before = os.getcwd()
        os.chdir(self.checkout.folder)
        self.addCleanup(os.chdir, before)

    def prepared(self, *given: str, content: str = "function", folder: str = "target/deploy/dev") -> dict:
        """The resources of a deployment to dev."""
        architecture = deployment.parameters("dev", list(given))["Architecture"]
        with contextlib.redirect_stdout(io.StringIO()):
            deployment.prepare("dev", str(self.checkout.package(architecture, content)), folder, *given)
        values = overrides(["--parameter-overrides", f"file://{os.getcwd()}/{folder}/parameters.toml"])
        return transformed(pathlib.Path(folder, "template.yaml").read_text(), values)

    def version(self, *given: str, **how: str) -> str:
        [version] = versions(self.prepared(*given, **how))
        return version

    def test_the_transform_alone_does_not_see_a_parameter(self):
        template = pathlib.Path("template.yaml").read_text()
        small, large = ({**deployment.parameters("dev", []), "MemorySize": size} for size in ["512", "1024"])
        self.assertEqual(versions(transformed(template, small)), versions(transformed(template, large)))

    def test_every_parameter_makes_another_version(self):
        declared = yaml_parse(pathlib.Path("template.yaml").read_text())["Parameters"]
        now = deployment.parameters("dev", [])
        seen = {self.version(): "as samconfig.toml has it"}
        for name, one in declared.items():
            # The limits are CloudFormation's to keep: here any other value will do where none is listed.
            others = [str(value) for value in one.get("AllowedValues", []) if str(value) != now[name]] or [now[name] + "1"]
            version = self.version(f"{name}={others[0]}")
            self.assertNotIn(version, seen, f"{name}={others[0]} is the version of {seen.get(version)}")
            seen[version] = name
        self.assertGreater(len(seen), 25)

    def test_another_function_is_another_version(self):
        self.assertNotEqual(self.version(content="one"), self.version(content="another"))

    def test_another_template_is_another_version(self):
        before = self.version()
        self.checkout.replace("template.yaml", "Visibility: 362", "Visibility: 363")
        self.assertNotEqual(before, self.version())

    def test_the_same_again_is_the_same_version(self):
        before = self.version()
        for earlier in [*pathlib.Path("target").rglob("*"), *pathlib.Path(".").glob("*")]:
            os.utime(earlier, (1, 1))
        self.assertEqual(before, self.version(folder="target/elsewhere"))
        self.assertEqual(before, self.version("MemorySize=512"))  # its value anyway

    def test_the_alias_invokes_the_version_and_the_description_tells_it(self):
        resources = self.prepared()
        [version] = versions(resources)
        [alias] = [one for one in resources.values() if one["Type"] == "AWS::Lambda::Alias"]
        self.assertEqual(alias["Properties"]["FunctionVersion"], {"Fn::GetAtt": [version, "Version"]})
        description = resources["OrderProcessor"]["Properties"]["Description"]
        self.assertRegex(description, r" [0-9a-f]{64}$")
        self.assertLessEqual(len(description), 256)  # Lambda's limit
        self.assertTrue(version.endswith(description[-64:-54]), f"{version} of {description}")

    def test_a_template_that_cannot_get_a_version_is_refused(self):
        self.checkout.replace("template.yaml", "AutoPublishAliasAllProperties: true", "AutoPublishAliasAllProperties: false")
        with self.assertRaisesRegex(ValueError, "template.yaml must have one"):
            self.prepared()


class Deployments(InACheckout):
    """What `sam deploy` is asked for."""

    def deployed(self, *arguments: str, **variables: str) -> list[str]:
        run = self.checkout.deploy(*arguments, **variables)
        self.assertEqual(run.returncode, 0, run.stderr)
        return self.checkout.called("sam")

    def refused(self, why: str, *arguments: str, **variables: str) -> None:
        run = self.checkout.deploy(*arguments, **variables)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(why, run.stderr)
        self.assertIsNone(self.checkout.called("sam"), "sam was called all the same")

    def packaged(self) -> bytes:
        """The function that `sam deploy` uploads: what CodeUri names, from the folder of the template."""
        arguments = self.checkout.called("sam")
        template = self.checkout.folder / arguments[arguments.index("--template-file") + 1]
        uri = yaml_parse(template.read_text())["Resources"]["OrderProcessor"]["Properties"]["CodeUri"]
        with zipfile.ZipFile(template.parent / uri) as opened:
            return opened.read("bootstrap")

    def test_sam_gets_every_parameter_of_the_environment(self):
        arguments = self.deployed("prod", PACKAGE=str(self.checkout.package("arm64")))
        values = overrides(arguments)
        self.assertEqual(values.keys(), yaml_parse((REPOSITORY / "template.yaml").read_text())["Parameters"].keys())
        for name, value in {"Environment": "prod", "CanaryDeployment": "true", "MemorySize": "1024"}.items():
            self.assertEqual(values[name], value, f"{name} of samconfig.toml")
        for name, value in {"FunctionTimeout": "60", "Architecture": "arm64", "KmsKeyArn": ""}.items():
            self.assertEqual(values[name], value, f"the default of {name}")
        after = arguments[arguments.index("--config-env") + 1], arguments[arguments.index("--config-file") + 1]
        self.assertEqual(after, ("prod", str(self.checkout.folder / "samconfig.toml")))
        self.assertEqual(arguments[0], "deploy")

    def test_a_parameter_that_is_given_goes_first_and_costs_no_other(self):
        key = "KmsKeyArn=arn:aws:kms:us-east-1:123456789012:key/a=b"
        values = overrides(self.deployed("prod", "MemorySize=2048", key, PACKAGE=str(self.checkout.package("arm64"))))
        self.assertEqual(values["MemorySize"], "2048")
        self.assertEqual(values["KmsKeyArn"], key.partition("=")[2])
        self.assertEqual(values["BatchSize"], "50")

    def test_options_after_two_dashes_are_those_of_sam(self):
        arguments = self.deployed("dev", "--", "--no-confirm-changeset", PACKAGE=str(self.checkout.package("arm64")))
        self.assertEqual(arguments[-1], "--no-confirm-changeset")

    def test_make_hands_on_what_it_is_given(self):
        given = [f"PACKAGE={self.checkout.package('arm64')}", "PARAMETERS=MemorySize=2048 BatchSize=7", "SAM_DEPLOY=--no-confirm-changeset"]
        run = subprocess.run(
            ["make", "deploy", "ENV=staging", *given],
            cwd=self.checkout.folder, env=self.checkout.environment(), capture_output=True, text=True, check=False,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        arguments = self.checkout.called("sam")
        values = overrides(arguments)
        self.assertEqual((values["Environment"], values["MemorySize"], values["BatchSize"]), ("staging", "2048", "7"))
        self.assertEqual(arguments[-1], "--no-confirm-changeset")
        self.assertIsNone(self.checkout.called("cargo"))

    def test_what_nobody_declared_is_refused(self):
        given = str(self.checkout.package("arm64"))
        self.refused("no parameter MemroySize", "dev", "MemroySize=2048", PACKAGE=given)
        self.refused("no environment development", "development", PACKAGE=given)
        self.refused("not PARAMETER=VALUE", "dev", "2048", PACKAGE=given)
        self.refused("usage", PACKAGE=given)

    def test_the_build_follows_the_architecture(self):
        self.deployed("dev")
        self.assertIn("--arm64", self.checkout.called("cargo"))
        self.assertEqual(package.architecture(self.packaged()), "arm64")
        self.assertEqual(overrides(self.deployed("dev", "Architecture=x86_64"))["Architecture"], "x86_64")
        self.assertNotIn("--arm64", self.checkout.called("cargo"))
        self.assertEqual(package.architecture(self.packaged()), "x86_64")
        self.checkout.replace("samconfig.toml", '["Environment=dev",', '["Environment=dev", "Architecture=x86_64",')
        self.assertEqual(overrides(self.deployed("dev"))["Architecture"], "x86_64")
        self.assertEqual(package.architecture(self.packaged()), "x86_64")

    def test_sam_build_alone_follows_the_architecture_of_samconfig(self):
        self.checkout.replace("samconfig.toml", '["Environment=dev",', '["Environment=dev", "Architecture=x86_64",')
        tools = self.checkout.cache / "order-processor/tools/cargo-lambda/bin"
        variables = self.checkout.environment(SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="us-east-1")
        variables["PATH"] = f"{tools}:{variables['PATH']}"
        run = subprocess.run(
            [SAM, "build", "--config-env", "dev"],
            cwd=self.checkout.folder, env=variables, capture_output=True, text=True, check=False,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("--arm64", self.checkout.called("cargo"))

    def test_a_function_for_another_machine_is_not_deployed(self):
        self.refused("built for x86_64, and Architecture is arm64", "dev", PACKAGE=str(self.checkout.package("x86_64")))
        self.refused("ELF machine 40", "dev", BROKEN="1")
        self.assertFalse((self.checkout.folder / "target/lambda/order-processor.zip").exists())

    def test_a_package_is_deployed_as_it_is_without_a_build(self):
        given = self.checkout.package("arm64", "from a release")
        digest = hashlib.sha256(given.read_bytes()).hexdigest()
        write(given.with_name(given.name + ".sha256"), f"{digest}  {given.name}\n")
        self.deployed("dev", PACKAGE=given.name)  # relative to where the caller is
        self.assertIsNone(self.checkout.called("cargo"))
        self.assertEqual((self.checkout.folder / "target/deploy/dev/order-processor.zip").read_bytes(), given.read_bytes())
        self.assertIn(b"from a release", self.packaged())

    def test_of_a_folder_of_packages_the_one_for_the_architecture_is_deployed(self):
        folder = self.checkout.package("arm64").parent
        self.checkout.package("x86_64")
        for architecture in package.MACHINES:
            self.deployed("dev", f"Architecture={architecture}", PACKAGE=str(folder))
            self.assertEqual(package.architecture(self.packaged()), architecture)

    def test_a_package_that_is_no_package_is_refused(self):
        given = self.checkout.package("arm64")
        write(given.with_name(given.name + ".sha256"), f"{'0' * 64}  {given.name}\n")
        self.refused("is not what order-processor-arm64.zip.sha256 says", "dev", PACKAGE=str(given))
        for name, mode, why in [("bootstrap", 0o644, "not executable"), ("bin/bootstrap", 0o755, "bootstrap alone")]:
            other = self.checkout.folder.parent / "other.zip"
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            with zipfile.ZipFile(other, "w") as out:
                out.writestr(entry, function("arm64"))
            self.refused(why, "dev", PACKAGE=str(other))
        self.refused("not a zip file", "dev", PACKAGE=str(write(other, "text")))


class Packages(InACheckout):
    def test_the_same_function_makes_the_same_package(self):
        packages = []
        for mode, when in [(0o600, 1), (0o755, 2_000_000_000)]:
            built = write(self.checkout.folder.parent / "bootstrap", function("arm64"), mode)
            os.utime(built, (when, when))
            packaged = built.with_suffix(f".{mode:o}.zip")
            package.pack(str(built), "arm64", str(packaged))
            packages.append(packaged.read_bytes())
        self.assertEqual(*packages)
        with zipfile.ZipFile(packaged) as opened:
            self.assertEqual(opened.getinfo("bootstrap").external_attr >> 16, 0o100755)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the transform tells of features that it has not
    unittest.main()
