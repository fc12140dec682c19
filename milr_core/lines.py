"""The lines of a trajectory on disk: written whole, and read without trust in how much they are."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from milr_core.errors import InputError, brief
from milr_core.record import Header, StepRecord, checked

LINES, OLD = "trajectory.jsonl", "trajectory.json"
MAX_JSON_BYTES = 64 << 20
MAX_LINE_BYTES = 4 << 20
MAX_BRACKETS = 200_000
"""Of a line, or of an old file: a small text of brackets would be a large heap of objects."""


def write_whole(path: Path, data: bytes) -> None:
    """All of `data` or nothing, also when the power goes."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:  # a full disk, as a rule: leave it no fuller
        partial.unlink(missing_ok=True)
        raise


def encoded(record: Header | StepRecord) -> bytes:
    return record.model_dump_json(by_alias=True, exclude_defaults=isinstance(record, StepRecord)).encode() + b"\n"


def line_of(file: BinaryIO) -> bytes:
    line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"A line of {LINES} is far longer than that of any step.")
    return line


def parsed_line(data: bytes, folder: Path) -> dict[str, Any]:
    """JSON; a heap of brackets is refused before it becomes a heap of objects."""

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    if data.count(b"{") + data.count(b"[") > MAX_BRACKETS:
        raise InputError(f"{folder} is no run bundle: its trajectory holds far more than any run's.")
    try:
        parsed = json.loads(data.decode("utf-8-sig"), parse_constant=refused)
        if b"\\u" in data:
            json.dumps(parsed, ensure_ascii=False).encode()  # half a character could not be written again
    except (ValueError, RecursionError) as error:
        raise no_bundle(folder, error) from error
    if not isinstance(parsed, dict):
        raise InputError(f"{folder} is no run bundle: expected an object in its trajectory.")
    return parsed


def header_of(data: dict[str, Any], schema: int) -> Header:
    if data.get("schema") != schema:
        raise InputError(
            f"The run has schema {str(data.get('schema'))[:20]}; this version reads schema {schema} there. "
            "Use the version that wrote it."
        )
    return checked(Header, data | {"schema": 2}, "The header")


def no_bundle(folder: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{folder} is no run bundle: its trajectory cannot be read ({brief(error)}).")
