"""Zips of runs: as systems and people make them, and as nobody should."""

import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from milr_core import InputError, Trajectory
from milr_core.archive import MAX_ENTRIES

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / "tests" / "old" / "janus-shapes.zip"
"""A run that version 0.2 recorded, without its latents, by an embedded model that is no longer shipped."""
SHIPPED = sorted((ROOT / "examples").glob("*.zip"))


@pytest.fixture(scope="module")
def files():
    """Give the files of the old run."""
    with zipfile.ZipFile(OLD) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("path", [OLD, *SHIPPED], ids=lambda path: path.stem)
def test_the_old_run_and_the_shipped_ones_open_and_go_through_a_zip_unchanged(path, tmp_path):
    bundle = Trajectory.from_zip(path, tmp_path / "run")
    steps = list(bundle.steps())
    assert len(steps) == len(bundle) > 1 and all(step.probabilities for step in steps)
    again = Trajectory.from_zip(bundle.to_zip(tmp_path / "again.zip", states=False), tmp_path / "again")
    assert (again.folder / "trajectory.jsonl").exists() and again.header == bundle.header
    assert list(again.records) == list(bundle.records)


AROUND = {
    "a folder": lambda files: {f"run/{name}": data for name, data in files.items()},
    "folders": lambda files: {f"a/b/{name}": data for name, data in files.items()},
    "Windows": lambda files: {f"a run\\{name}": data for name, data in files.items()},
    "Finder": lambda files: files
    | {"__MACOSX/._trajectory.json": b"\0", "__MACOSX/run/step-000.png": b"", ".DS_Store": b""},
    "a note": lambda files: files | {"notes.txt": b"hello", "résumé.md": b"", "other/step-000.png": b"x"},
    "a mark at its beginning": lambda files: {
        name: b"\xef\xbb\xbf" * name.endswith(".json") + data for name, data in files.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("how", AROUND)
def test_a_run_that_was_zipped_again_opens(files, tmp_path, how):
    bundle = Trajectory.from_zip(zipped(tmp_path / "run.zip", AROUND[how](files)), tmp_path / "run")
    assert len(list(bundle.steps())) == 6
    assert {path.name for path in bundle.folder.iterdir()} == set(files), "nothing else is taken out"


def test_a_zip_with_a_directory_of_64_bits_opens(files, tmp_path):
    """Services write such zips that begin to send before they know how much it is."""
    whole = zipped(tmp_path / "run.zip", files).read_bytes()
    at = whole.rfind(b"PK\5\6")
    entries, size, start = struct.unpack("<HII", whole[at + 10 : at + 20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "run.zip").write_bytes(whole[:at] + record + locator + end)
    assert len(Trajectory.from_zip(tmp_path / "run.zip", tmp_path / "run")) == 6
    moved = record.replace(b"PK\6\6", b"PK\0\0")
    (tmp_path / "moved.zip").write_bytes(whole[:at] + moved + locator + end)
    refused(tmp_path / "moved.zip", tmp_path, "not a zip")


def refused(file, tmp_path, says, limit=2 << 30):
    with pytest.raises(InputError, match=says) as caught:
        Trajectory.from_zip(file, tmp_path / "out", limit)
    assert not (tmp_path / "out").exists(), "nothing is left behind"
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["../trajectory.json"], "does not"), (["/trajectory.json"], "does not"), (["..\\trajectory.json"], "does not"),
        (["C:/trajectory.json"], "does not"), (["evil.py"], "does not hold a run"),
        (["a/trajectory.json", "b/trajectory.json"], "several runs"), (["x" * 300], "far longer"),
        (["a/" * 20 + "trajectory.json"], "far longer"), (["trajectory.json"], "no run bundle"),
    ],
)  # fmt: skip
def test_a_zip_of_something_else_is_refused(tmp_path, names, says):
    refused(zipped(tmp_path / "evil.zip", dict.fromkeys(names, b"x")), tmp_path, says)


def test_what_is_no_zip_is_refused(files, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"x" * 100)
    refused(tmp_path / "no.zip", tmp_path, "not a zip")
    whole = zipped(tmp_path / "whole.zip", files).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.zip", tmp_path, "not a zip")
    damaged = bytearray(whole)
    damaged[60:200] = b"\xff" * 140  # within the deflated data of the first file
    (tmp_path / "damaged.zip").write_bytes(damaged)
    refused(tmp_path / "damaged.zip", tmp_path, "not a zip")
    at = whole.find(b"step-000.png") - 30  # its header then says that its name is as long as can be
    (tmp_path / "long.zip").write_bytes(whole[: at + 26] + b"\xff\xff" + whole[at + 28 :])
    assert len(refused(tmp_path / "long.zip", tmp_path, "not a zip")) < 1000
    name = whole.replace(b"step-000.png", b"step-\xff\xfe0.png")
    flagged = bytearray(name)
    at = 0
    while (at := flagged.find(b"PK\1\2", at)) >= 0:  # the flag says that names are UTF-8
        flagged[at + 9] |= 0x08
        at += 4
    (tmp_path / "name.zip").write_bytes(flagged)
    refused(tmp_path / "name.zip", tmp_path, "not a zip")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_packed_in_another_way_is_refused(files, tmp_path, packing):
    with zipfile.ZipFile(tmp_path / "run.zip", "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    refused(tmp_path / "run.zip", tmp_path, "zip the run again")
    whole = bytearray((tmp_path / "run.zip").read_bytes())
    whole[60:200] = b"\xff" * 140  # LZMA has an error of its own for damaged data
    (tmp_path / "run.zip").write_bytes(whole)
    refused(tmp_path / "run.zip", tmp_path, "zip the run again")


def test_bytes_are_counted_as_they_come_whatever_the_directory_says(files, tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", files | {"step-000.png": b"\0" * (8 << 20)})
    refused(bomb, tmp_path, "unpacks to more than 4 MiB", limit=4 << 20)
    lying = bytearray(bomb.read_bytes())
    at = lying.find(b"step-000.png", lying.find(b"PK\1\2")) - 46
    lying[at + 24 : at + 28] = struct.pack("<I", 100)
    (tmp_path / "lying.zip").write_bytes(lying)
    refused(tmp_path / "lying.zip", tmp_path, "not a zip|more than", limit=4 << 20)


def test_far_too_many_entries_are_refused_before_they_are_read(files, tmp_path, monkeypatch):
    many = zipped(tmp_path / "many.zip", {f"{i}": b"" for i in range(MAX_ENTRIES + 1)})
    refused(many, tmp_path, "a run has")
    data = bytearray(many.read_bytes())
    at = data.rfind(b"PK\5\6")
    data[at + 12 : at + 16] = struct.pack("<I", 200 << 20)
    (tmp_path / "more.zip").write_bytes(data)
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *_: pytest.fail("read"))
    refused(tmp_path / "more.zip", tmp_path, "far more files")


def test_a_heap_of_brackets_is_refused_before_it_is_a_heap_of_objects(files, tmp_path):
    heap = json.loads(files["trajectory.json"])
    text = json.dumps(heap)[:-1] + ', "more": [' + "{}," * 400_000 + "{}]}"
    refused(zipped(tmp_path / "heap.zip", files | {"trajectory.json": text.encode()}), tmp_path, "far more")


def test_a_folder_in_use_is_left_as_it_is(files, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        Trajectory.from_zip(zipped(tmp_path / "run.zip", files), tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_an_image_with_a_bomb_of_text_in_it_is_refused(files, tmp_path):
    chunk = b"zTXt" + b"k\0\0" + zlib.compress(b"\0" * (80 << 20))
    crc = zlib.crc32(chunk)
    png = files["step-000.png"]
    bomb = png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", crc) + png[33:]
    bundle = Trajectory.from_zip(zipped(tmp_path / "run.zip", files | {"step-000.png": bomb}), tmp_path / "run")
    with pytest.raises(InputError, match="not the image"):
        bundle.image(0)
    assert bundle.image(1)
