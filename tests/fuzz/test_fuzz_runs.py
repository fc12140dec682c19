"""Anything at all as a setting, as a link, or within the zip of a run: taken as it is meant, or refused in words."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from milr_core import InputError, SearchSettings, Trajectory
from milr_core.export.recipe import PLAIN, from_query, query, setting
from milr_core.settings import KNOBS, check, settings_from
from tests.fuzz.examples import fuzzed
from tests.fuzz.test_fuzz_judges import RECORDS, SCALARS
from tests.test_archive import OLD, zipped

NAMES = some.sampled_from((*KNOBS, *PLAIN, "batch", "trust", "nope"))
WORDS = some.sampled_from([*"joint alt 1e400 -0 ² ٣ 0x10 1_0 inf nan 0.5 3".split(), "", "9" * 310])
VALUES = SCALARS | WORDS | some.integers(-2, 70) | some.floats(-1, 12)


def fine(settings: SearchSettings) -> None:
    assert all(check(name, value) == value for name, value in settings.as_dict().items() if value is not None)


@fuzzed
@given(some.dictionaries(NAMES, VALUES | RECORDS, max_size=6))
def test_settings(values):
    for name, value in values.items():
        if name in KNOBS:
            try:
                taken = setting(name, value)
            except InputError as error:
                assert name in str(error) and len(str(error)) < 500
            else:
                assert type(taken) is KNOBS[name].kind
    try:
        fine(settings_from(values))
    except InputError:
        pass


@fuzzed
@given(
    some.text(max_size=80)
    | some.lists(some.tuples(NAMES.map(str), WORDS | some.text(max_size=10)), max_size=8).map(
        lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
    )
)
def test_links(text):
    try:
        found = from_query(text)
    except InputError:
        return
    knobs = {name: value for name, value in found.items() if name in KNOBS}
    fine(SearchSettings(**knobs))
    words = {name: found.get(name, "x") for name in PLAIN}
    assert from_query(query(**words, settings=knobs)) == {n: v for n, v in (words | knobs).items() if v != ""}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """Give the files of a run in the form that is written today."""
    folder = tmp_path_factory.mktemp("whole")
    Trajectory.from_zip(OLD, folder / "run").to_zip(folder / "run.zip", states=False)
    with zipfile.ZipFile(folder / "run.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Callable[[Callable[[Path], Any]], None]:
    """Opens what is written to a path as the page opens an upload, and looks at all of it."""
    folder = tmp_path_factory.mktemp("any")

    def opens(write: Callable[[Path], Any]) -> None:
        write(folder / "run.zip")
        out = folder / "run"
        try:
            run = Trajectory.from_zip(folder / "run.zip", out)
        except InputError as error:
            assert len(str(error)) < 2500 and not out.exists(), "nothing is left behind"
            return
        try:
            assert all(0 <= step.reward <= 1 for step in run.steps())
            run.newest_state()
        except InputError as error:
            assert len(str(error)) < 2500
        finally:
            for path in out.iterdir():
                path.unlink()
            out.rmdir()

    return opens


def spoiled(draw: Callable[[Any], Any], record: Any) -> Any:
    """The record with something within it replaced, left out or added."""
    if isinstance(record, list) and record and draw(some.booleans()):
        at = draw(some.integers(0, len(record) - 1))
        return [*record[:at], spoiled(draw, record[at]), *record[at + 1 :]]
    if not isinstance(record, dict) or not record:
        return draw(VALUES | RECORDS)
    name = draw(some.sampled_from(sorted(record)))
    match draw(some.integers(0, 9)):
        case 0:
            return {other: value for other, value in record.items() if other != name}
        case 1:
            return record | {draw(some.text(max_size=5)): draw(VALUES)}
        case _:
            return record | {name: spoiled(draw, record[name])}


@fuzzed
@given(some.data())
def test_records_of_a_run(files, opened, data):
    (name,) = [name for name in files if name.endswith("jsonl")]
    lines = [json.loads(line) for line in files[name].splitlines()]
    at = data.draw(some.integers(0, len(lines) - 1))
    lines[at] = spoiled(data.draw, lines[at])
    text = "\n".join(map(json.dumps, lines)) + "\n" * data.draw(some.booleans())
    opened(lambda path: zipped(path, files | {name: text.encode()}))


@fuzzed
@given(some.data())
def test_bytes_of_a_bundle(files, opened, data):
    name = data.draw(some.sampled_from(sorted(files)))
    inside = data.draw(some.booleans())

    def write(path: Path) -> None:
        whole = files[name] if inside else zipped(path, files).read_bytes()
        at = data.draw(some.integers(0, len(whole)) | some.integers(max(0, len(whole) - 400), len(whole)))
        length = data.draw(some.integers(0, 40))
        changed = whole[:at] + data.draw(some.binary(max_size=40)) + whole[at + length :]
        if inside:
            zipped(path, files | {name: changed})
        else:
            path.write_bytes(changed)

    opened(write)


@fuzzed
@given(some.lists(some.text(some.sampled_from("ab./\\:~%\u202e é"), min_size=1, max_size=12), min_size=1, max_size=4))
def test_names_in_a_bundle(files, opened, names):
    opened(lambda path: zipped(path, dict.fromkeys(names, b"x") | files))
    opened(lambda path: zipped(path, {f"{names[0]}/{name}": data for name, data in files.items()}))
