"""The wheel that `python -m build` makes, installed where nothing of the checkout is in reach."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import milr_core

ROOT = Path(__file__).resolve().parent.parent
NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", "__pycache__", "runs", "docs", "tests", "build", "dist", "*.egg-info"
)
Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCES)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "source"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def run(built: Path) -> Run:
    """Runs a command of a fresh environment that holds the wheel, from an empty folder.

    What the wheel requires is not installed again: it is found where these tests have it.
    """
    venv, empty = built / "venv", built / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", wheel], check=True, timeout=120)
    (packages,) = (venv / "lib").glob("python3.*/site-packages")
    required = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "required.pth").write_text("\n".join(required) + "\n")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def command(name: str, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [venv / "bin" / name, *arguments], cwd=empty, env=env, capture_output=True, text=True, timeout=240
        )

    return command


def test_the_wheel_holds_the_packages_and_their_data_and_nothing_else(built: Path):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"milr_studio-{milr_core.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = ["milr_core", "ui", "world", "bench", "serve", "examples", "assets"]
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {*wanted, "app.py"} and wheel.stat().st_size <= 30_000_000
    kept = {".py", ".json", ".jinja", ".safetensors", ".zip", ".js", ".css", ".html", ".tsv", ".png"}
    for package in wanted:
        for path in (ROOT / package).rglob("*"):
            if path.suffix in kept and "__pycache__" not in path.parts:
                assert str(path.relative_to(ROOT)) in names, f"{path} is not in the wheel"


def test_the_sdist_holds_what_the_wheel_is_made_of(built: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "requirements.txt", "README.md", "LICENSE", "app.py"} <= names


def test_milr_searches_with_the_embedded_model(run: Run):
    done = run("milr", "reason", "two red dogs", "--steps", "1", "--threshold", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["index"] for line in done.stdout.splitlines()] == [0, 1]


@pytest.mark.parametrize(("name", "says"), [("milr-app", "--port"), ("milr-bench", "study")])
def test_the_other_commands_start(run: Run, name: str, says: str):
    done = run(name, "--help")
    assert done.returncode == 0 and says in done.stdout, done.stderr


def test_modules_version_and_recorded_runs_are_those_of_the_wheel(run: Run, built: Path):
    code = (
        "from importlib.metadata import version; from importlib.util import find_spec; "
        "print(version('milr-studio'), *(find_spec(name).origin for name in ('milr_core', 'ui', 'app')))"
    )
    done = run("python", "-c", code)
    version, *origins = done.stdout.split()
    assert version == milr_core.__version__, done.stderr
    assert all(Path(origin).is_relative_to(built / "venv") for origin in origins)
    # Where ui/panels/recorded_runs.py looks for them: beside ui/.
    examples = Path(origins[1]).parents[1] / "examples"
    index = json.loads((examples / "index.json").read_text())
    assert len(index) >= 5 and all((examples / entry["file"]).is_file() for entry in index)


def test_changelog_begins_with_this_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].split()[1] == milr_core.__version__
