"""The examples run: scripts, the notebook's cells, and the recorded runs that the page offers."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import gradio as gr
import nbformat
import pytest

from examples import client
from examples.record import Wanted, record
from milr_core import Janus, Trajectory

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the scripts write their images."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, capsys: pytest.CaptureFixture) -> str:
    import_module(f"examples.{name}").main([])
    return capsys.readouterr().out


def test_search_shows_each_step_and_the_setting_that_was_changed(folder: Path, capsys: pytest.CaptureFixture):
    said = run("search", capsys)
    rates = [float(rate) for rate in re.findall(r"lr ([\d.]+)\)", said)]
    assert len(rates) == 7 and 0.3 not in rates[:3] and set(rates[3:]) == {0.3}
    assert (folder / "best.png").is_file()


def test_strategies_are_compared_at_the_same_cost(folder: Path, capsys: pytest.CaptureFixture):
    rows = [line.split() for line in run("strategies", capsys).splitlines()[1:]]
    assert [row[0] for row in rows] == ["joint", "text", "image", "best-of-n"]
    assert all(1 <= int(row[2]) <= 7 and 0 <= float(row[1]) <= 1 for row in rows)


# examples/client.py needs a page: tests/test_docker.py starts one and calls it.


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path: Path, folder: Path, capsys: pytest.CaptureFixture):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    names: dict = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell.source, str(path), "exec"), names)
    assert len(names["steps"]) > 1 and capsys.readouterr().out


def test_a_story_is_recorded_where_a_run_shows_it_and_else_left_out(
    tiny: Janus, tmp_path: Path, capsys: pytest.CaptureFixture
):
    settings = {"steps": 4, "threshold": 1.0}
    shown = Wanted("two.zip", "Two steps", lambda steps: len(steps) == 3, settings, "self", prompts=("a dog", "a cat"))
    never = replace(shown, file="never.zip", title="Never", begins=lambda first: False)
    assert list(record(tiny, tmp_path, (shown, never))) == [{"file": "two.zip", "title": "Two steps"}]
    assert "No run shows 'Never'" in capsys.readouterr().err and not (tmp_path / "never.zip").exists()
    run = Trajectory.from_zip(tmp_path / "two.zip", tmp_path / "run")
    assert len(run) == 3 and run.prompt == "a dog" and not run.has_state(0)


def test_the_index_of_recorded_runs_names_files_that_are_there():
    index = json.loads((EXAMPLES / "index.json").read_text())
    assert {entry["file"] for entry in index} == {path.name for path in EXAMPLES.glob("*.zip")}


def test_the_client_prints_the_sentence_of_a_server_that_refuses(capsys: pytest.CaptureFixture[str]):
    def search_image(prompt: str, steps: int = 8, threshold: float = 0.9) -> Iterator[dict[str, Any]]:
        raise gr.Error(f"I cannot draw '{prompt}'.", print_exception=False)
        yield {}

    with gr.Blocks() as page:
        gr.api(search_image, api_name="search_image")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        assert client.main([url, "a flux capacitor"]) == 1
    finally:
        page.close()
    assert capsys.readouterr().err == "I cannot draw 'a flux capacitor'.\n"
