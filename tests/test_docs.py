"""What README.md and docs/ say is so: commands and code run, links lead somewhere, the reference is of this code.

Every line of an `sh` block and of indented code is run in this process, in order, in a folder of its own for each page.
What cannot be run here stands below with the reason; its flags are checked all the same, and so are those of commands
within a sentence.
"""

import argparse
import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

import app
from bench import __main__ as bench_main
from bench import cli as bench_cli
from docs.reference import reference
from milr_core import Janus, cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WEIGHTS, MONEY, MINUTES, OUTSIDE = "needs weights", "asks a paid service", "takes minutes", "another program's"
PARTS_OF_MAKE = "is what runs these tests, or starts what they start"

NOT_RUN = {
    "make *": PARTS_OF_MAKE,
    "docker *": OUTSIDE,
    "ray start *": OUTSIDE,
    "pip install *": "tests/test_package.py installs the package",
    "python -m milr_core convert *": "needs weights in DeepSeek's format: tests/janus/ writes some and converts them",
    "python -m serve *": "tests/serve/ starts replicas",
    "* --critic geneval *": WEIGHTS,
    "* --critic gpt-4o *": MONEY,
    "* --critic self+gpt-4o *": MONEY,
    "* --suite geneval:*": WEIGHTS,
    "python -m bench run * --limit 100 *": MINUTES,
    "python -m bench study *": MINUTES,
    "python -m bench speed *": MINUTES,
    "python -m bench start *": MINUTES,
    "python -m bench card*": MINUTES,
    "python -m bench gpu *": "tests/bench/test_gpu.py runs it at tiny size",
    "python -m pip *": OUTSIDE,
    "python -m bench true-size *": MINUTES,
    "python -m world.train": "takes hours: tests/world/test_training.py runs its first minute",
    "python -m tests.browser.measure http*": "measures a page that runs already",
}
"""Commands that are not run, and why not."""

CODE_NOT_RUN = {
    'critic = load_critic("geneval"': WEIGHTS,
    'load_model("deepseek-community/': WEIGHTS,
    "from gradio_client import Client": "needs a page: tests/test_docker.py calls one",
}
"""Code that is compiled only: a part of it, and why."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """The commands of a page in order: comments and prompts gone, `&&` and continued lines taken apart or together."""
    code = re.compile(r"^```sh\n(.*?)^```|^ {4}((?:python|pip) [^\n]*\n)", re.DOTALL | re.MULTILINE)
    found = code.findall(page.read_text(encoding="utf-8"))
    lines = "".join(block or line for block, line in found).replace("\\\n", " ").splitlines()
    parts = (part for line in lines for part in line.split(" && "))
    return [shlex.join(words) for part in parts if (words := shlex.split(part, comments=True))]


def mentioned(page: Path) -> list[list[str]]:
    """Commands with arguments within sentences, as words; what an ellipsis cuts short is left out."""
    inline = re.findall(r"(?<!`)`((?:python -m|milr|milr-bench|make) [^`\n]*)`", page.read_text(encoding="utf-8"))
    return [shlex.split(command) for command in inline if "…" not in command]


def why_not(command: str) -> str | None:
    said = command.replace("'", "")
    return next((reason for pattern, reason in NOT_RUN.items() if fnmatch(said, pattern)), None)


def runner(words: list[str]) -> tuple[Callable[[list[str]], object], list[str]]:
    """Who runs a command in this process, and with which arguments."""
    ours = {"milr": cli.main, "milr-app": app.main, "milr-bench": bench_main.main}
    modules = {"milr_core": cli.main, "bench": bench_main.main}
    if words[0] in ours:
        return ours[words[0]], words[1:]
    if words[:2] == ["python", "app.py"]:
        return app.main, words[2:]
    if words[:2] == ["python", "-m"]:
        return modules.get(words[2]) or import_module(words[2]).main, words[3:]
    raise AssertionError(
        f"No test knows how to run `{shlex.join(words)}`: run it, or add it to NOT_RUN with the reason."
    )


def parser_of(module: str) -> argparse.ArgumentParser | None:
    """Find the parser of a module that lets it be asked; serve's needs Ray."""
    parsers = {
        "milr_core": cli.parser,
        "bench": bench_cli.parser,
        "serve": lambda: import_module("serve.app").parser({}),
    }
    return parsers[module]() if module in parsers else None


def check_flags(words: list[str]) -> None:
    """Check a command that is not run: its parser takes it, or, where there is none to ask, what it names is there."""
    ours = {"milr": "milr_core", "milr-bench": "bench"}
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
    elif words[:3] == ["python", "-m", "pip"]:
        pass  # pip's own affair
    elif words[:2] == ["python", "-m"] or words[0] in ours:
        module, *arguments = words[2:] if words[0] == "python" else [ours[words[0]], *words[1:]]
        module = bench_main.OWN.get(arguments[0], module) if arguments else module
        if arguments and (parser := parser_of(module)):
            assert parser.parse_args(arguments)
            return
        source = Path(find_spec(module).origin).read_text(encoding="utf-8")
        missing = [word for word in arguments if word.startswith("--") and word not in source]
        assert not missing, f"{module} has no {missing}"


@pytest.fixture
def folder(tmp_path: Path, embedded: Janus, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in; it holds an image, for commands that score one."""
    monkeypatch.chdir(tmp_path)
    embedded.images_of(torch.zeros(1, embedded.num_image_tokens, dtype=torch.long))[0].save("image.png")
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.stem)
def test_every_command_runs(page: Path, folder: Path, capsys: pytest.CaptureFixture):
    for command in commands(page):
        words = shlex.split(command)
        if why_not(command):
            check_flags(words)
            continue
        run, arguments = runner(words)
        try:
            code = run(arguments)
        except SystemExit as left:  # --help
            code = left.code
        assert not code, f"`{command}` exits with {code}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", [p for p in PAGES if mentioned(p)], ids=lambda page: page.stem)
def test_commands_within_sentences_are_understood(page: Path):
    for words in mentioned(page):
        try:
            check_flags(words)
        except SystemExit as left:  # --help
            assert not left.code


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.stem)
def test_all_code_runs(page: Path, folder: Path):
    names: dict = {"__name__": page.stem}
    for code in blocks(page, "python"):
        compiled = compile(code, str(page), "exec")
        if not any(part in code for part in CODE_NOT_RUN):
            exec(compiled, names)


def test_nothing_is_excused_that_no_page_says():
    every = [command.replace("'", "") for page in PAGES for command in commands(page)]
    assert not [p for p in NOT_RUN if not any(fnmatch(command, p) for command in every)]
    code = "".join(block for page in PAGES for block in blocks(page, "python"))
    assert not [part for part in CODE_NOT_RUN if part not in code]


def anchors(page: Path) -> set[str]:
    """Make the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


def test_the_reference_is_made_from_these_docstrings():
    said = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert said == reference(), "make docs writes docs/reference.md anew"


def test_the_readme_names_every_page_of_the_docs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES[1:] if f"docs/{page.name}" not in text]


COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_front_matter_is_valid_for_spaces():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    front = yaml.safe_load(text.split("---")[1])
    assert {"title", "emoji", "sdk", "app_file", "license", "models", "tags"} <= set(front)
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLORS
    assert len(front["short_description"]) <= 60
    assert front["suggested_hardware"] == "zero-a10g" and str(front["python_version"]) == "3.12"
    # A Space installs this gradio; it has to be one that requirements.txt allows.
    (low, high) = re.search(r"gradio\S*>=([\d.]+),<([\d.]+)", (ROOT / "requirements.txt").read_text()).groups()
    version, low, high = (tuple(map(int, text.split("."))) for text in (front["sdk_version"], low, high))
    assert low <= version[: len(low)] and version < high


def test_two_commands_of_the_readme_do_all_set_up():
    setting_up = [
        c for c in commands(ROOT / "README.md") if c.split()[0] in ("make", "pip", "npm", "apt-get", "docker")
    ]
    assert setting_up == ["make demo", "make test"]
