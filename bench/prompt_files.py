"""Prompts in files of one's own: text, CSV with commas, semicolons or tabs, JSON lines. Read as meant, or refused.

A row that does not fit its header is refused by file and line: half a prompt would be searched for as if it were whole.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from milr_core.benchmark_files import read_objects, read_text
from milr_core.errors import InputError

DEFAULT_CATEGORY = "prompts"
Prompts = Iterator[tuple[str, str]]  # prompt and category
LONGEST_HEADER = 10_000  # characters
_SEPARATORS = (",", ";", "\t")


def plain_text(path: Path) -> Prompts:
    """One prompt a line; blank lines are passed over."""
    for line in read_text(path).splitlines():
        if line.strip():
            yield line.strip(), DEFAULT_CATEGORY


def table(path: Path) -> Prompts:
    """A header with a column `prompt` and, if it likes, `category`; then a row a prompt. Blank rows are passed over.

    A line break in a quoted prompt is a space.
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    whole, text = text, re.sub(r"\A(?:[ \t]*\n)+", "", text)
    before = whole.count("\n") - text.count("\n")
    header, separator = _header(text.split("\n", 1)[0], path)
    rows = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    end = before
    try:
        for row in rows:
            start, end = end + 1, before + rows.line_num
            if start == before + 1 or not any(cell.strip() for cell in row):
                continue
            yield _row(row, header, separator, f"Line {start} of {path}")
    except csv.Error as error:
        raise InputError(f"Line {before + rows.line_num} of {path} is no row of a table: {error}.") from error


def _header(line: str, path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what separates them: the first separator that gives a column `prompt`."""
    if len(line) > LONGEST_HEADER:
        raise InputError(f"{path} does not begin with the names of its columns.")
    separators = ("\t",) if path.suffix.lower() == ".tsv" else _SEPARATORS
    for separator in separators:
        names = [name.strip().lower() for name in next(csv.reader([line], delimiter=separator), [])]
        if "prompt" in names:
            if len(set(names)) < len(names):
                raise InputError(f"The header of {path} has a column that is named twice.")
            return names, separator
    columns = ", ".join(filter(None, (name.strip() for name in line.split(",")))) or "none"
    raise InputError(f"{path} needs a column named prompt; it has {columns[:200]}.")


def _row(row: list[str], header: list[str], separator: str, where: str) -> tuple[str, str]:
    if len(row) != len(header):
        mark = {",": "comma", ";": "semicolon", "\t": "tab"}[separator]
        raise InputError(
            f"{where} has {len(row)} cell{'s' * (len(row) != 1)}, and the header {len(header)}: put a text with a "
            f"{mark} in quotes, and leave no column out."
        )
    cells = {name: " ".join(cell.split()) for name, cell in zip(header, row, strict=True)}
    if not cells["prompt"]:
        raise InputError(f"{where} has no prompt.")
    return cells["prompt"], cells.get("category") or DEFAULT_CATEGORY


def json_lines(path: Path) -> Prompts:
    """An object a line (or a list of them) with `prompt` and, if it likes, `category`."""
    for where, record in read_objects(path):
        named = {name.lower(): value for name, value in record.items()}
        prompt, category = named.get("prompt"), named.get("category") or DEFAULT_CATEGORY
        if not isinstance(prompt, str) or not prompt.strip() or not isinstance(category, str):
            raise InputError(f"{where} has no text named prompt, or a category that is none.")
        yield " ".join(prompt.split()), category.strip()


READERS: dict[str, Callable[[Path], Prompts]] = {
    ".txt": plain_text, ".csv": table, ".tsv": table, ".jsonl": json_lines, ".json": json_lines,
}  # fmt: skip
"""By the ending of a file's name, in any case."""
