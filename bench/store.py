"""The run folder: an append-only file of records, the images beside it, one writer at a time.

    RUN/run.json          what is run: suite, model and weights, critics, settings, seeds, items, methods
    RUN/records.jsonl     one line a prompt x method x seed, in the order in which they finished
    RUN/failures.jsonl    what could not be judged or drawn, and why; a rerun tries it again
    RUN/images/METHOD/…   the answer's image of each record, in the benchmark's own layout

An image is on disk before its record; a line goes out in one write and is synced. A kill loses what was in flight.
A line that was cut or damaged is set aside when the folder is next opened to write, and what it held is done again.
"""

import json
import logging
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.suites import Item, slug
from milr_core.critics.base import plain_text
from milr_core.errors import InputError

logger = logging.getLogger(__name__)

Key = tuple[str, str, int]
"""(item, method, seed)"""

KEY = {"item": str, "method": str, "seed": int}


def key_of(record: dict[str, Any]) -> Key:
    return record["item"], record["method"], record["seed"]


def write_whole(path: Path, data: bytes) -> None:
    """All of `data` or nothing, also when the power goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{zlib.crc32(path.name.encode()):08x}.partial")  # short: names can be near the limit
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def encode(record: dict[str, Any]) -> bytes:
    """One line. `check` is the CRC-32 of the rest, so that damage inside a line is seen too."""
    body = json.dumps(record, ensure_ascii=False)
    return f'{body[:-1]}, "check": {zlib.crc32(body.encode())}}}\n'.encode()


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where it is not whole."""
    head, mark, tail = line.rpartition(b', "check": ')
    try:
        if not mark or int(tail.removesuffix(b"}")) != zlib.crc32(head + b"}"):
            return None
        record = json.loads(head + b"}")
    except ValueError:
        return None
    return record if all(isinstance(record.get(name), kind) for name, kind in KEY.items()) else None


def read_records(folder: Path) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Whole records, one a key (the first), and the lines that are damaged."""
    path = folder / "records.jsonl"
    records, damaged = {}, []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        record = decode(line) if line.strip() else None
        if record is not None:
            records.setdefault(key_of(record), record)
        elif line.strip(b"\0 \r\t"):
            damaged.append(line)
    return list(records.values()), damaged


def read_failures(folder: Path) -> dict[Key, str]:
    """Why a record could not be made, the last reason of each; of those that were made later as well."""
    path = folder / "failures.jsonl"
    failures = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []:
        try:
            failure = json.loads(line)
            failures[key_of(failure)] = plain_text(str(failure["error"]))
        except (ValueError, KeyError, TypeError):  # a line that a kill cut off
            continue
    return failures


def read_manifest(folder: Path) -> dict[str, Any]:
    """run.json.

    Raises:
        InputError: the folder holds no run.
    """
    try:
        manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no run: run.json cannot be read ({error}).") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("fixed"), dict):
        raise InputError(f"{folder} is no run: run.json does not say what was run.")
    return manifest


class Store:
    """A run folder opened to write. Use as a context: it holds the folder's lock.

    Raises:
        InputError: the folder is being written by another run, or holds a run of something else.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        """manifest: `fixed` must be what the folder was begun with; the rest says what is asked for now."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock", timeout=0)
            self._lock.acquire()
        except Timeout:
            raise InputError(f"Another run is writing to {folder}: wait for it, or choose another --out.") from None
        except OSError as error:
            raise InputError(f"Cannot write to {folder}: {error}.") from error
        try:
            self.records = self._repaired()
            self.done = {key_of(record) for record in self.records}
            self._check(manifest)
            write_whole(folder / "run.json", json.dumps(manifest, indent=1, ensure_ascii=False).encode())
            self._file = os.open(folder / "records.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except BaseException:
            self._lock.release()
            raise

    def _check(self, manifest: dict[str, Any]) -> None:
        if not (self.folder / "run.json").exists():
            if self.records:
                raise InputError(f"{self.folder} has records but no run.json; choose another --out.")
            return
        before = read_manifest(self.folder)["fixed"]
        other = [name for name, value in manifest["fixed"].items() if before.get(name) != value]
        if other:
            name = other[0]
            raise InputError(
                f"{self.folder} was begun with {name} {json.dumps(before.get(name))}, this run has "
                f"{json.dumps(manifest['fixed'][name])}: choose another --out."
            )

    def _repaired(self) -> list[dict[str, Any]]:
        """The records; damaged lines are moved to `records.damaged`."""
        path = self.folder / "records.jsonl"
        records, damaged = read_records(self.folder)
        whole = b"".join(map(encode, records))
        if path.exists() and path.read_bytes() != whole:
            if damaged:
                logger.warning("%s: %d damaged lines set aside; they are done again.", path, len(damaged))
                with (self.folder / "records.damaged").open("ab") as file:
                    file.write(b"\n".join(damaged) + b"\n")
            write_whole(path, whole)
        return records

    def add(self, item: Item, record: dict[str, Any], image: bytes, layout: Callable) -> bool:
        """Image, then record; False if the record is there already (a worker that died after it had sent it)."""
        if key_of(record) in self.done:
            return False
        folder = Path("images") / slug(record["method"])
        for name, data in layout(item, record["seed"]).items():
            write_whole(self.folder / folder / name, image if data is None else data)
            if data is None:
                record = {**record, "image": str(folder / name)}
        os.write(self._file, encode(record))
        os.fsync(self._file)
        self.records.append(record)
        self.done.add(key_of(record))
        return True

    def fail(self, key: Key, error: str) -> None:
        line = json.dumps({**dict(zip(KEY, key, strict=True)), "error": error}, ensure_ascii=False)
        with (self.folder / "failures.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def close(self) -> None:
        os.close(self._file)
        self._lock.release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def differences(a: Iterable[dict[str, Any]], b: Iterable[dict[str, Any]]) -> list[str]:
    """What two runs disagree in, timings and order aside, in words; empty where they are the same."""
    left, right = ({key_of(r): {**r, "timing": None} for r in records} for records in (a, b))
    said = []
    for key in sorted(left.keys() | right.keys()):
        if key not in left or key not in right:
            said.append(f"{key}: only in the {'first' if key in left else 'second'}")
        elif left[key] != right[key]:
            said.append(f"{key}: {', '.join(n for n in left[key] if left[key][n] != right[key].get(n))}")
    return said
