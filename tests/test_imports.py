"""Data flows one way: app -> ui -> milr_core; world -> milr_core's critic interface."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "milr_core": {"gradio", "ui", "app", "world", "bench", "serve"},
    "world": {"gradio", "ui", "app", "bench", "serve"},
    "ui": {"app", "bench", "serve"},
    "serve": {"app", "bench", "world"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_package_imports_what_lies_above_it(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & FORBIDDEN[package], f"{path} imports {tops & FORBIDDEN[package]}"


def test_the_library_does_not_print():
    for package in ("milr_core", "world", "ui"):
        for path in (ROOT / package).rglob("*.py"):
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
