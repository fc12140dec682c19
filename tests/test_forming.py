"""Pictures that form: shown row by row where a step takes long, and never at the price of another picture."""

import math

import pytest

from milr_core import SearchControl, forming
from milr_core.control import Forming
from milr_core.engine import run
from milr_core.forming import PLAIN
from tests.test_engine import JOB
from tests.test_search import key
from tests.ui_helpers import Studio
from ui.run import Run
from ui.session import Session


def watched(engine, job=JOB):
    control, seen = SearchControl(), []
    control.look = seen.append
    return [key(step) for step in run(engine, job, control)], seen


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch):
    """Any model counts as slow, and looking as cheap."""
    monkeypatch.setattr(forming, "SLOW", 0.0)
    monkeypatch.setattr(forming, "SHARE", math.inf)


def test_every_row_is_shown_and_the_steps_are_the_same(engine, slow):
    steps, seen = watched(engine)
    assert steps == [key(step) for step in run(engine, JOB, SearchControl())]
    # Of the 4 x 4 cells a quarter is forced from step 1 on: the first row comes with the prefix.
    assert [(f.index, f.row) for f in seen] == [(0, 1), (0, 2), (0, 3), *[(k, r) for k in range(1, 5) for r in (2, 3)]]
    for made in seen:
        assert made.rows == 4 and made.image.size == (16, 16)
        colours = {made.image.getpixel((x, y)) for x in range(16) for y in range(4 * made.row, 16)}
        assert colours == {PLAIN} and made.image.getpixel((0, 4 * made.row - 1)) != PLAIN


def test_a_fast_model_shows_none(engine):
    assert watched(engine)[1] == []


def test_nothing_is_decoded_that_takes_more_than_its_share(engine, slow, monkeypatch):
    monkeypatch.setattr(forming, "SHARE", 0.0)
    steps, seen = watched(engine)
    assert [(f.index, f.row) for f in seen] == [(0, 1)], "once, to learn what one costs; later steps know it"
    assert steps == [key(step) for step in run(engine, JOB, SearchControl())]


def test_the_page_shows_the_step_under_way_where_the_newest_is_looked_at(studio: Studio, monkeypatch, slow):
    session, stages, form = Session(), [], Run.form

    def looked(run, picture):
        form(run, picture)
        stages.extend([studio.page.step(session)[studio.page.stage]] if picture else [])

    monkeypatch.setattr(Run, "form", looked)
    studio.finish(session)
    first = stages[0]
    assert first["verdict"] == "Step 0: row 1 of 4" and first["now"]["image"].startswith("data:image/webp;base64,")
    assert first["before"]["image"] == first["now"]["image"] and not first["now"]["file"]
    later = next(stage for stage in stages if stage["now"]["index"] == 2)
    assert "step-000.png" in later["before"]["image"] and later["now"]["score"] == "row 1 of 4"
    assert session.shown.forming is None, "the steps are there"
    session.shown.forming = Forming(9, 1, 4, session.shown.step(0).image)
    session.look_at(1)
    assert "step-001.png" in studio.page.step(session)[studio.page.stage]["now"]["image"]
