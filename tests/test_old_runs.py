"""The embedded model of earlier versions, janus-shapes: its name says what took its place; its runs open, and end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main as bench
from milr_core import InputError, Janus, SearchSettings, Trajectory, load_model, reason
from milr_core.cli import main
from milr_core.record import MadeBy
from tests.conftest import Redness
from tests.ui_helpers import PROMPT, Studio
from ui.engines.unloaded import announced
from ui.run import REPLAYED
from ui.session import Session

OLD = Path(__file__).parent / "old" / "janus-shapes.zip"
GONE = "janus-shapes is gone: janus-icons took its place"


@pytest.fixture
def old_run(tiny: Janus, tmp_path: Path) -> Path:
    """A run with its states, as one that janus-shapes made."""
    run = Trajectory.create(tmp_path / "run", MadeBy(id="janus-shapes", weights_hash="0" * 64), "self", PROMPT)
    for step in reason(tiny, Redness(), PROMPT, SearchSettings(steps=1, seed=0)):
        run.append(step.state)
    return run.folder


def test_the_name_says_what_took_its_place():
    with pytest.raises(InputError) as refused:
        load_model("janus-shapes")
    assert str(refused.value).startswith(GONE) and "\n" not in str(refused.value)
    with pytest.raises(InputError, match=GONE):
        announced("janus-shapes")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (main, ["reason", PROMPT, "--model", "janus-shapes"]),
        (main, ["reason", "--resume", "RUN", "--steps", "3"]),
        (bench, ["run", "--suite", "riddles", "--methods", "step0", "--model", "janus-shapes", "--out", "OUT"]),
    ],
    ids=["reason", "resume", "bench"],
)
def test_commands_say_it_in_one_line(
    command: Callable, arguments: list[str], old_run: Path, capsys: pytest.CaptureFixture
):
    paths = {"RUN": str(old_run), "OUT": str(old_run.parent / "out")}
    assert command([paths.get(word, word) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(GONE) and captured.err.count("\n") == 1 and captured.out == ""


def test_a_run_of_it_does_not_go_on_with_another_model(old_run: Path, tiny_folder: Path, capsys: pytest.CaptureFixture):
    assert main(["reason", "--resume", str(old_run), "--model", str(tiny_folder), "--steps", "3"]) == 2
    assert "The run was made by janus-shapes with other weights" in capsys.readouterr().err


def test_on_the_page_a_run_of_it_is_looked_at_and_not_forked(studio: Studio):
    session = Session()
    page = studio.read(studio.recorded.open_file(session, str(OLD)))
    assert session.phase == REPLAYED and page["notice"] == "" and len(page["gallery"]["tiles"]) == 6
    assert "square" in studio.look(session, 0)["score"]
    answer = studio.press("press_fork", session, critic="oracle")
    assert "made by janus-shapes with other weights" in answer["notice"] and len(session.runs) == 1
