"""python -m bench gpu: what only a GPU can tell, in one prepared run of minutes.

The parts (`bench/gpu_parts.py`) run in order of worth, each in a process of its own, so that its peak of memory is its
own, and with a limit of its own. What a part finds is written as it finds it; a part that fails, or takes too long,
says so, and the next goes on. OUT holds `rows.jsonl`, one figure a line, and `report.md`, the same as a page. `--page
OUT` puts that page into docs/performance.md, here or on another machine than the one measured. `--wheels` gathers what
a bare machine lacks.
"""

import argparse
import json
import multiprocessing
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

from bench.gpu_figures import Row, Rows
from bench.gpu_page import page_of, write_page
from bench.gpu_parts import PARTS, Bench, Part, about_machine
from bench.gpu_wheels import gather
from milr_core import InputError

FORK = multiprocessing.get_context("fork")
"""Imports are done once. This process never asks for CUDA: those that it forks could not use it any more."""

SLOWEST_END = 5.0
"""Seconds that a process has to end after it was told to; after that it is killed."""


def _work(measure: Callable[[Bench], Rows], bench: Bench, sender: Connection) -> None:
    """Run one part, in its own process: send every row, and last why it failed, or None."""
    try:
        for row in measure(bench):
            sender.send(row)
        sender.send(None)
    except Exception as error:
        sender.send({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})


def rows_of(measure: Callable[[Bench], Rows], bench: Bench, limit: float) -> Rows:
    """The rows of one part, measured in a process of its own for at most `limit` seconds.

    The last row has the key `failed` if the part raised, died, or was ended.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_work, args=(measure, bench, sender))
    until = time.monotonic() + limit
    process.start()
    sender.close()
    try:
        while True:
            if not receiver.poll(max(0.0, until - time.monotonic())):
                yield {"failed": f"ended after its {limit:.0f} s"}
                return
            try:
                row = receiver.recv()
            except EOFError:
                process.join(SLOWEST_END)
                yield {"failed": f"its process ended with code {process.exitcode}"}
                return
            if row is None:
                return
            yield row
            if "failed" in row:
                return
    finally:
        process.terminate()
        process.join(SLOWEST_END)
        process.kill()
        process.join()


def measure(parts: Sequence[Part], bench: Bench, minutes: float, out: Path, command: str) -> bool:
    """Run the parts; what is left of the minutes is shared among the parts left, by their shares.

    Returns whether every part came through.
    """
    until = time.monotonic() + 60 * minutes
    found: list[Row] = []
    with (out / "rows.jsonl").open("w", encoding="utf-8") as lines:

        def keep(row: Row) -> None:
            found.append(row)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            (out / "report.md").write_text(page_of(found), encoding="utf-8")

        for row in rows_of(about_machine, bench, 60):
            if "failed" in row:
                raise InputError(f"Nothing can be measured on '{bench.device}': {row['failed']}")
            keep({"part": "", "command": command, "date": date.today().isoformat(), **row})
        for i, part in enumerate(parts):
            limit = (until - time.monotonic()) * part.share / sum(other.share for other in parts[i:])
            sys.stderr.write(f"({part.key}) {part.title}, {max(0.0, limit):.0f} s at most\n")
            started = time.monotonic()
            for row in rows_of(part.measure, bench, limit):
                keep({"part": part.key, "at": round(time.monotonic() - started, 1), **row})
                sys.stderr.write(f"    {json.dumps(row)}\n")
    return not any("failed" in row for row in found)


def _parts(keys: str) -> list[Part]:
    known = {part.key: part for part in PARTS}
    wanted = keys.split(",") if keys else list(known)
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise InputError(f"There is no part '{unknown[0]}'. There are {', '.join(known)}.")
    return [known[key] for key in wanted]


def _run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    if args.page:
        write_page(args.page)
        sys.stderr.write("docs/performance.md has a new section.\n")
        return 0
    if args.wheels:
        if not args.have:
            raise InputError("--have names a file with what `python -m pip list --format=freeze` says on that machine.")
        gathered = gather(args.have, args.python, args.wheels)
        sys.stdout.write("".join(f"{one}\n" for one in gathered) or "Nothing is missing there.\n")
        return 0
    if not args.out:
        raise InputError("--out says which folder the figures go to.")
    parts = _parts(args.parts)
    args.out.mkdir(parents=True, exist_ok=True)
    work = args.work or args.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", "bench", "gpu", *argv])
    try:
        whole = measure(parts, Bench(args.device, work, args.tiny), args.minutes, args.out, command)
    finally:
        if not args.keep:
            shutil.rmtree(work)
    sys.stdout.write((args.out / "report.md").read_text(encoding="utf-8"))
    return 0 if whole else 1


def main(argv: list[str]) -> int:
    """Exit codes: 0 every part came through, 1 some failed, 2 bad input."""
    titles = "\n".join(f"  {part.key:4} {part.title}" for part in PARTS)
    parser = argparse.ArgumentParser(
        prog="python -m bench gpu", description=(__doc__ or "").splitlines()[0], epilog=f"parts:\n{titles}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for the figures")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together (default 8)")
    parser.add_argument("--parts", default="", metavar="A,B", help="default: all, in order of worth")
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument(
        "--work", type=Path, help="an empty folder for checkpoints of true size, 20 GB (default: OUT/work); removed"
    )
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints; those that are there are used")
    parser.add_argument("--tiny", action="store_true", help="models of a few kilobytes: shows that the command works")
    parser.add_argument(
        "--page", type=Path, metavar="OUT", help="only write the figures in OUT into docs/performance.md"
    )
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="only download what a bare machine lacks")
    parser.add_argument("--have", type=Path, metavar="FILE", help="with --wheels: what is installed on that machine")
    parser.add_argument("--python", default="3.12", help="with --wheels: that machine's Python (default 3.12)")
    try:
        return _run(parser.parse_args(argv), argv)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
