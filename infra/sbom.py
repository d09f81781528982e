#!/usr/bin/env python3
"""The bill of materials of a function, in the format of CycloneDX 1.5: the crates that are linked into it, and no others.

usage: sbom.py arm64|x86_64 BOOTSTRAP

By `cargo tree`, which follows the features that are on as the build does. Generators that read `cargo metadata` name crates
that are not in the function: of an optional dependency, all that its features could bring.
"""
import hashlib
import json
import re
import subprocess
import sys
import tomllib
import urllib.parse
import uuid

TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# As infra/build.sh has cargo write where a crate's source is.
NAMED = re.compile(rb"/cargo/registry/src/[^/]+/([A-Za-z0-9_-]+)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/")


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def purl(name: str, version: str) -> str:
    return f"pkg:cargo/{name}@{urllib.parse.quote(version)}"


def linked(target: str) -> dict[str, tuple[str, str, str, set[str]]]:
    """By purl: name, version and licence of each crate, and the purls of those that it uses itself."""
    what = ["--no-default-features", "--target", target, "--edges", "normal,no-proc-macro"]
    lines = cargo("tree", "--locked", *what, "--prefix", "depth", "--format", "\t{p}\t{l}\t")
    crates, above = {}, []
    for line in lines.splitlines():
        depth, crate, licence, _ = line.split("\t")
        name, version = crate.split(" ")[0], crate.split(" ")[1].removeprefix("v")
        found = crates.setdefault(purl(name, version), (name, version, licence.replace("/", " OR "), set()))
        del above[int(depth):]
        if above:
            above[-1].add(purl(name, version))
        above.append(found[3])
    return crates


def component(kind: str, crate: tuple[str, str, str, set[str]], sha256: str | None) -> dict:
    name, version, licence, _ = crate
    it = {"type": kind, "bom-ref": purl(name, version), "name": name, "version": version, "purl": purl(name, version)}
    if licence:
        it["licenses"] = [{"expression": licence}]
    if sha256:
        it["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return it


def bill(target: str, function: bytes) -> dict:
    crates = linked(target)
    named = {purl(name.decode(), version.decode()) for name, version in NAMED.findall(function)}
    if not named or named - crates.keys():
        raise ValueError(f"the function names crates that are not in its bill: {sorted(named - crates.keys()) or 'none at all'}")
    with open("Cargo.lock", "rb") as lock:
        locked = tomllib.load(lock)["package"]
    sums = {purl(one["name"], one["version"]): one.get("checksum") for one in locked}
    [own] = [purl(one["name"], one["version"]) for one in locked if one["name"] == "order-processor"]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": component("application", crates[own], hashlib.sha256(function).hexdigest()),
            "properties": [{"name": "cdx:rustc:sbom:target:triple", "value": target}],
        },
        "components": [component("library", crates[one], sums[one]) for one in sorted(crates) if one != own],
        "dependencies": [{"ref": one, "dependsOn": sorted(crates[one][3])} for one in sorted(crates)],
    }
    # Not by chance: the same function has the same bill.
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document)).urn
    return document


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in TARGETS:
        print(__doc__, file=sys.stderr, end="")
        return 2
    try:
        with open(arguments[1], "rb") as file:
            print(json.dumps(bill(TARGETS[arguments[0]], file.read()), indent=2))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"sbom.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
