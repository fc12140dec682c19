"""The figures of `python -m bench gpu` as a page, and into docs/performance.md."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.gpu_figures import Row
from bench.gpu_parts import PARTS
from bench.performance import write_section
from milr_core import InputError

HEADING = "On a GPU"
ABOUT = """\
Written by `python -m bench gpu`. Weights of Janus-Pro's sizes are random; times do not depend on them. A token of an
image has two rows, for guidance. The floor is the time in which the weights and the cache that a token needs can be
copied on the device, at the speed measured there. The reference loop and transformers' `generate` are as above.
"""


def page_of(rows: Sequence[Row]) -> str:
    """Markdown of the rows so far; the first one is of the machine."""
    machine, *found = rows
    lines = [ABOUT, f"{machine['date']}, {machine['machine']}, torch {machine['torch']}.", ""]
    lines += [f"    {machine['command']}", ""]
    for part in PARTS:
        of_it = [row for row in found if row["part"] == part.key]
        if not of_it:
            continue
        figures = [row for row in of_it if "what" in row]
        lines += [f"### {part.title}", ""]
        if figures:
            lines += ["| | measured | wanted |", "|---|---|---|"]
            lines += [f"| {row['what']} | {_shown(row)} | {row.get('goal', '')} |" for row in figures]
            lines += [""]
        lines += [f"Not measured: {row['failed'].rstrip('.')}.\n" for row in of_it if "failed" in row]
    return "\n".join(lines)


def _shown(row: Row) -> str:
    value, unit = row["value"], row["unit"]
    number = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{number} {unit}".strip()


def read_rows(out: Path) -> list[Row]:
    """What a run wrote.

    Raises:
        InputError: the folder holds no run of the command.
    """
    path = out / "rows.jsonl"
    if not path.is_file():
        raise InputError(f"{out} holds no rows.jsonl: it is no folder that `python -m bench gpu --out` wrote.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not rows or "machine" not in rows[0]:
        raise InputError(f"{path} does not begin with the machine: the run never started.")
    return rows


def write_page(out: Path) -> None:
    """Put the figures of a run on a GPU into docs/performance.md.

    Raises:
        InputError: it is no run, or one of tiny models or of a CPU, which says nothing of a GPU.
    """
    rows = read_rows(out)
    if rows[0]["tiny"] or rows[0]["device"] == "cpu":
        raise InputError(f"{out} holds figures of {rows[0]['machine']}: docs/performance.md takes those of a GPU only.")
    write_section(HEADING, page_of(rows))
