#!/usr/bin/env python3
"""The Lambda package: a zip with one file, `bootstrap`, for one instruction set. The same function makes the same bytes.

usage: package.py pack BOOTSTRAP arm64|x86_64 ZIP
       package.py check ZIP arm64|x86_64
       package.py sum FILE
"""
import hashlib
import os
import sys
import zipfile

# e_machine of the ELF header, by the names of Lambda's architectures.
MACHINES = {"arm64": 183, "x86_64": 62}


def architecture(function: bytes) -> str:
    """What a function is built for; refused if Lambda could not start it at all."""
    if function[:6] != b"\x7fELF\x02\x01":
        raise ValueError("it is no 64-bit little-endian ELF file")
    machine = int.from_bytes(function[18:20], "little")
    for name, number in MACHINES.items():
        if machine == number:
            return name
    raise ValueError(f"it is for the ELF machine {machine}, which Lambda has not")


def refuse_another(function: bytes, wanted: str) -> None:
    found = architecture(function)
    if found != wanted:
        raise ValueError(f"it is built for {found}, and Architecture is {wanted}")


def pack(bootstrap: str, wanted: str, package: str) -> None:
    with open(bootstrap, "rb") as file:
        function = file.read()
    refuse_another(function, wanted)
    # Neither the clock nor the umask gets into the package: the first moment that a zip can name, and rwxr-xr-x.
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, whatever this machine is: else the permissions do not count
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(package, "w") as out:
        out.writestr(entry, function, compresslevel=9)


def function_of(package: str, wanted: str) -> bytes:
    """The function in a package that Lambda can start with `wanted` as its architecture."""
    with zipfile.ZipFile(package) as opened:
        names = opened.namelist()
        if names != ["bootstrap"]:
            raise ValueError(f"it has {', '.join(names) or 'nothing'} in it, and should have bootstrap alone")
        if not opened.getinfo("bootstrap").external_attr >> 16 & 0o001:
            raise ValueError("its bootstrap is not executable for everybody")
        function = opened.read("bootstrap")
    refuse_another(function, wanted)
    return function


def checksum(file: str) -> None:
    """As sha256sum prints it, which not every machine has."""
    with open(file, "rb") as content:
        print(f"{hashlib.sha256(content.read()).hexdigest()}  {os.path.basename(file)}")


def main(arguments: list[str]) -> int:
    commands = {"pack": (pack, 3), "check": (function_of, 2), "sum": (checksum, 1)}
    command, count = commands.get(arguments[0] if arguments else "", (None, 0))
    if command is None or len(arguments) != count + 1:
        print(__doc__, file=sys.stderr, end="")
        return 2
    try:
        command(*arguments[1:])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"package.py: {arguments[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
