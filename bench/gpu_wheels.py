"""Wheels for a bare GPU machine: what `python -m bench gpu` needs and that machine lacks, gathered beside the checkout.

    there:  python -m pip list --format=freeze > have.txt
    here:   python -m bench gpu --wheels wheels --have have.txt --python 3.12
    there:  python -m pip install --no-index --no-deps --target site wheels/*.whl
            PYTHONPATH=site python -m bench gpu --out OUT

torch is never carried: it is what such a machine has. What is carried has the version that is installed here.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from milr_core import InputError

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
OF_THE_PAGE = {"gradio", "gradio-client", "openai", "fastapi", "starlette"}
"""Required by the project, never imported by the command."""

FOR_QUANTIZATION = ("accelerate", "bitsandbytes")
TAGS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17)] + ["manylinux2014_x86_64"]
"""pip takes each of them literally, none for another."""


def read_frozen(path: Path) -> dict[str, str]:
    """Versions by name, of what `pip list --format=freeze` printed; names alone are taken as new enough.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is not there: it holds what `python -m pip list --format=freeze` says on the other one."
        )
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if line and not line.startswith("-"))
    return {canonicalize_name(name.partition(" ")[0]): version for name, _, version in pairs}


def required() -> Iterator[Requirement]:
    """What the command imports, by the project's own requirements, and what it quantises with."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and canonicalize_name(Requirement(text).name) not in OF_THE_PAGE:
            yield Requirement(text)
    yield from map(Requirement, FOR_QUANTIZATION)


def missing(have: dict[str, str], wanted: Iterable[Requirement]) -> dict[str, str]:
    """Versions by name of what has to be carried, with what that needs in turn.

    Raises:
        InputError: torch is missing or too old there, or something is not installed here.
    """
    carried: dict[str, str] = {}
    left = list(wanted)
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if (one.marker and not one.marker.evaluate({"extra": ""})) or name in carried:
            continue
        there = have.get(name)
        if there is not None and (not there or one.specifier.contains(there, prereleases=True)):
            continue
        if name == "torch":
            raise InputError(f"The other machine has torch {there or 'not at all'}; what is needed is {one}.")
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise InputError(
                f"{name} is not installed here, so its version is not known: pip install {name}"
            ) from error
        carried[name] = found.version
        left += [Requirement(text) for text in found.requires or ()]
    return carried


def gather(have: Path, python: str, folder: Path) -> list[str]:
    """Download the wheels for x86-64 Linux; their names and versions.

    Raises:
        InputError: as `missing`, or pip found no wheel (what it said is above).
    """
    carried = missing(read_frozen(have), required())
    pinned = [f"{name}=={version}" for name, version in sorted(carried.items())]
    if pinned:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
        command += [word for tag in TAGS for word in ("--platform", tag)]
        if subprocess.run([*command, *pinned], check=False).returncode:
            raise InputError("pip could not download them all; what it said is above.")
    return pinned
