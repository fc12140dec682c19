"""What is declared: everything that is imported, with bounds that go together; the files that pin it."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import metadata, packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"app", "milr_core", "ui", "bench", "world", "serve", "examples", "assets", "docs", "tests"}
ROOMS = {"app.py": (), "milr_core": (), "ui": (), "world": ("dev",), "examples": (), "docs": ("dev",),
         "bench": ("bench", "gpu"), "serve": ("serve",), "tests": ("dev", "bench", "serve", "gpu", "zero")}  # fmt: skip
OPTIONAL = {"spaces": "zero"}
"""Imported where it is there, by the extra that brings it."""

ZERO_TORCH = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}
"""That ZeroGPU supports, by the hub's documentation of August 2026."""


def lines(name: str) -> list[str]:
    """Read the lines of a requirements file, without comments and hashes."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = (re.split(r"#| --hash", line)[0].strip() for line in text.splitlines())
    return [line for line in found if line]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


@cache
def installed() -> Mapping[str, list[str]]:
    """Distributions by top-level module; reading them all takes a second."""
    return packages_distributions()


def distributions(module: str) -> set[str]:
    return {canonicalize_name(name) for name in installed().get(module, [module])}


def imported(path: Path) -> set[str]:
    """Top-level modules of other projects."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - OURS - sys.stdlib_module_names


@pytest.mark.parametrize("room", ROOMS)
def test_whatever_is_imported_is_declared(room: str):
    place = ROOT / room
    if not place.exists():
        pytest.skip(f"{room} is not here")
    declared = names([*lines("requirements.txt"), *(text for extra in ROOMS[room] for text in EXTRAS[extra])])
    for path in [place] if place.is_file() else place.rglob("*.py"):
        for module in imported(path):
            if module in OPTIONAL:
                assert canonicalize_name(module) in names(EXTRAS[OPTIONAL[module]])
            else:
                assert distributions(module) & declared, f"{path} imports {module}, which is not declared"


def test_every_cap_has_its_reason_beside_it():
    for name in ("requirements.txt", "pyproject.toml"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if re.search(r"[\d\w\]\"]*>=[\d.]+,<", line):
                assert "#" in line, f"{name}: {line}"


def test_lower_bounds_are_those_of_the_packages_that_need_them():
    ours = {canonicalize_name(one.name): one for one in map(Requirement, lines("requirements.txt"))}
    for package in ("gradio", "transformers"):
        for theirs in map(Requirement, requires(package) or ()):
            mine = ours.get(canonicalize_name(theirs.name))
            if mine is None or (theirs.marker and not theirs.marker.evaluate({"extra": ""})):
                continue
            low = [s.version for s in mine.specifier if s.operator == ">="]
            assert low and theirs.specifier.contains(low[0]), f"{mine} admits what {package} refuses: {theirs}"


def test_the_pythons_that_are_named_are_those_that_are_allowed():
    allowed = SpecifierSet(PROJECT["requires-python"])
    named = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text]
    assert named == ["3.11", "3.12", "3.13", "3.14"] and all(allowed.contains(version) for version in named)
    assert not allowed.contains("3.10")


def test_the_space_gets_a_torch_that_zero_gpu_supports():
    """pre-requirements.txt comes first on a Space; nothing of what follows may replace what it pins."""
    (pinned,) = map(Requirement, lines("pre-requirements.txt"))
    (pin,) = [one.version for one in pinned.specifier]
    assert pinned.name == "torch" and str(pinned.specifier) == f"=={pin}" and pin in ZERO_TORCH
    (ours,) = [one for one in map(Requirement, lines("requirements.txt")) if one.name == "torch"]
    assert ours.specifier.contains(pin)


def test_what_the_package_spaces_needs_goes_with_what_is_required():
    python = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])["python_version"]
    range_of_python = metadata("spaces")["Requires-Python"]
    assert SpecifierSet(range_of_python).contains(python) and SpecifierSet(PROJECT["requires-python"]).contains(python)
    locked = {one.name: one for one in map(Requirement, lines("requirements-image.txt"))}
    for theirs in map(Requirement, requires("spaces") or ()):
        (pin,) = [s.version for s in locked[canonicalize_name(theirs.name)].specifier]
        assert theirs.specifier.contains(pin), f"spaces takes {theirs}; the image has {pin}"
    (bound,) = [one for one in map(Requirement, EXTRAS["zero"]) if one.name == "spaces"]
    assert bound.specifier.contains(version("spaces"))  # whose configs.json tests/test_zero.py plans by


def test_the_image_is_pinned_by_hash_within_what_is_required():
    text = (ROOT / "requirements-image.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    pins = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert all("==" in line and "--hash=sha256:" in line for line in pins)
    locked = {canonicalize_name(one.name): one for one in map(Requirement, lines("requirements-image.txt"))}
    for ours in map(Requirement, lines("requirements.txt")):
        if ours.name == "torch":
            assert "torch" not in locked
            continue
        (pin,) = [s.version for s in locked[canonicalize_name(ours.name)].specifier]
        assert ours.specifier.contains(pin), f"`make lock` writes requirements-image.txt anew: {ours}, {pin}"
