"""The Dockerfile: what it copies is there and holds no secret, and its command and health check run on those files.

The whole build, layer by layer and as its user, is `make docker-test`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path, PurePath

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement

from examples import client
from tests.browser.conftest import free_port

ROOT = Path(__file__).resolve().parent.parent
STEPS = DockerfileParser(fileobj=BytesIO((ROOT / "Dockerfile").read_bytes())).structure
START_SECONDS = 280


def values(instruction: str) -> list[str]:
    return [step["value"] for step in STEPS if step["instruction"] == instruction]


def environment() -> dict[str, str]:
    parser = DockerfileParser(fileobj=BytesIO((ROOT / "Dockerfile").read_bytes()))
    return dict(parser.envs)


def kept(path: PurePath) -> bool:
    """Whether .dockerignore lets a path of the repository into the build; the last pattern that matches decides."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    verdict = True
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = line.removeprefix("!")
        if pattern.startswith("**/"):
            matches = any(fnmatch(part, pattern[3:]) for part in path.parts)
        else:
            matches = any(fnmatch(str(p), pattern) for p in (path, *path.parents) if str(p) != ".")
        verdict = line.startswith("!") if matches else verdict
    return verdict


def copied() -> list[PurePath]:
    skipped = {".git", ".venv", "runs", "build", "dist"}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in skipped]
        yield from (path for name in files if kept(path := (Path(folder) / name).relative_to(ROOT)))


def test_every_source_of_a_copy_exists_and_is_not_ignored():
    assert values("COPY") == ["requirements-image.txt /tmp/requirements.txt", "--chown=user . ."]
    assert (ROOT / "requirements-image.txt").is_file() and kept(PurePath("requirements-image.txt"))
    names = {str(path) for path in copied()}
    wanted = ("app.py", "assets/janus-icons/model.safetensors", "examples/index.json", "ui/layout.css")
    assert {*wanted, "milr_core/search.py", "world/oracle.py"} <= names


@pytest.mark.parametrize(
    "path", [".env", ".git/config", "ui/.env", "runs/x.json", ".venv/bin/python", "id_rsa", "tests/conftest.py"]
)
def test_nothing_private_gets_into_the_build(path: str):
    assert not kept(PurePath(path))


def test_no_step_takes_or_sets_a_secret():
    names = [re.split(r"[= ]", value)[0] for value in values("ARG")] + list(environment())
    assert names and not [name for name in names if re.search("TOKEN|KEY|SECRET|PASSWORD", name)]


def test_it_runs_as_user_1000_on_port_7860():
    order = [step["instruction"] for step in STEPS]
    (user,) = (i for i, step in enumerate(STEPS) if "useradd" in step["value"])
    assert "--uid 1000" in STEPS[user]["value"] and values("USER") == ["user"]
    # Root installs; whatever is made or copied for the page comes after, and belongs to the user.
    assert order.index("USER") > user > max(i for i, s in enumerate(STEPS) if "pip install" in s["value"])
    env = environment()
    assert env["HOST"] == "0.0.0.0" and env["PORT"] == "7860" and values("EXPOSE") == ["7860"]
    assert env["HF_HOME"].startswith(env["HOME"] + "/")


def test_python_is_the_spaces_python():
    front = yaml.safe_load((ROOT / "README.md").read_text().split("---")[1])
    assert f"PYTHON={front['python_version']}" in values("ARG")
    assert f"--python-version {front['python_version']} " in (ROOT / "Makefile").read_text()  # what `make lock` is for


def test_packages_are_installed_by_hash_and_the_base_can_be_named_by_digest():
    (install,) = [value for value in values("RUN") if "pip install" in value]
    locked, torch = re.split(r"&&", install)
    assert "--require-hashes" in locked and "--no-deps" in locked and '"torch==$TORCH"' in torch
    (version,) = [value.partition("=")[2] for value in values("ARG") if value.startswith("TORCH=")]
    (line,) = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch")]
    assert Requirement(line.partition("#")[0]).specifier.contains(version)
    assert values("FROM") == ["${BASE}"] and "BASE=python:${PYTHON}-slim" in values("ARG")


def command(instruction: str) -> list[str]:
    """Read the command of CMD or HEALTHCHECK, for this Python."""
    (value,) = values(instruction)
    arguments = json.loads(value[value.index("[") :])
    assert arguments[0] == "python"
    return [sys.executable, *arguments[1:]]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict, subprocess.Popen]]:
    """The command, running on the copied files alone; with its environment."""
    home = tmp_path_factory.mktemp("home")
    for path in copied():
        (home / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, home / "app" / path)
    env = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"} | environment()
    env = {name: value.replace("/home/user", str(home)) for name, value in env.items()}
    env |= {"HOST": "127.0.0.1", "PORT": str(free_port()), "GRADIO_TEMP_DIR": str(home / "gradio")}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command("CMD"), cwd=home / "app", env=env, stdout=log, stderr=log)
        yield env, process
        process.terminate()
        process.wait(30)


def healthy(env: dict[str, str]) -> bool:
    return subprocess.run(command("HEALTHCHECK"), env=env, capture_output=True, timeout=60).returncode == 0


def test_the_health_check_fails_without_a_page(container: tuple[dict, subprocess.Popen]):
    assert not healthy(container[0] | {"PORT": str(free_port())})


def test_the_command_starts_a_page_that_is_healthy_and_answers_scripts(
    container: tuple[dict, subprocess.Popen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    env, process = container
    until = time.monotonic() + START_SECONDS
    while not healthy(env):
        assert process.poll() is None, Path(env["HOME"], "log").read_text()
        assert time.monotonic() < until, "the page did not become healthy"
        time.sleep(0.5)
    # examples/client.py talks to it as to any page.
    monkeypatch.chdir(tmp_path)
    client.main([f"http://127.0.0.1:{env['PORT']}", "three green apples"])
    said = capsys.readouterr().out
    assert [line.split(":")[0] for line in said.splitlines()[:-1]] == [f"step {i}" for i in range(5)]
    assert (tmp_path / "best.png").is_file()
