"""python -m bench start: how long until the page answers, against the import of the library that it is made with.

Both are processes of their own, in turns within one run; a ratio is the median of the rounds' ratios.
"""

import argparse
import os
import queue
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from bench.performance import write_section
from milr_core.janus.devices import processor_name

ROOT = Path(__file__).resolve().parent.parent
PLAYS = "A recorded run, nothing is computed"
"""What a page says that holds the run which it plays at first."""

LOADED = "is loaded."
LOOK_SECONDS = 0.02
BAR = 1.3
ABOUT = f"""\
Written by `python -m bench start --write`. A round is `python -c "import gradio"` and `python app.py`, each a process
of its own. The page answers with its first 200 to a GET, asked for every {1000 * LOOK_SECONDS:.0f} ms, that holds the
recorded run which it plays; the engine is there once the app says that its model is loaded. Ratios are medians over
rounds.
"""


class Started(NamedTuple):
    """Seconds from the start of the process: to the page's answer, and to the engine."""

    page: float
    engine: float


def imported() -> float:
    """Seconds that `import gradio` takes, the interpreter's own start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gradio"], check=True, cwd=ROOT)
    return time.perf_counter() - began


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def started(command: Sequence[str], patience: float = 600.0) -> Started:
    """How long a command takes until it serves a page and says that its model is loaded. It is ended then.

    Raises:
        RuntimeError: it ended by itself, or took longer than `patience` seconds; with what it said.
    """
    port = free_port()
    with TemporaryDirectory() as temp:
        env = os.environ | {"HOST": "127.0.0.1", "PORT": str(port), "GRADIO_TEMP_DIR": temp}
        began = time.perf_counter()
        app = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert app.stdout is not None
            said: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_read, args=(app.stdout, said), daemon=True).start()
            while not _plays(f"http://127.0.0.1:{port}/"):
                if app.poll() is not None or time.perf_counter() - began > patience:
                    raise RuntimeError(f"{' '.join(command)} serves no page: {' '.join(said.queue)}")
                time.sleep(LOOK_SECONDS)
            page = time.perf_counter() - began
            while LOADED not in said.get(timeout=patience):
                pass
            return Started(page, time.perf_counter() - began)
        finally:
            app.kill()
            app.wait()


def _read(lines: IO[str], said: queue.Queue[str]) -> None:
    for line in lines:
        said.put(line)


def _plays(url: str) -> bool:
    """Whether a page answers there, with its recorded run."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return PLAYS in answer.read().decode()
    except OSError:
        return False


def table(rounds: Sequence[tuple[float, Started]], command: str) -> str:
    """Markdown of the rounds. Each: seconds of the import, and of the app."""
    imports, pages, engines = ([*column] for column in zip(*((g, a.page, a.engine) for g, a in rounds), strict=True))
    ratios = [page / own for own, page in zip(imports, pages, strict=True)]
    lines = [f"{date.today().isoformat()}, {processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "]
    lines[0] += f"{len(rounds)} rounds."
    lines += ["", f"    {command}", "", "| | median | bar |", "|---|---|---|"]
    lines += [f"| `import gradio`, s | {statistics.median(imports):.1f} | |"]
    lines += [f"| the page answers, s | {statistics.median(pages):.1f} | |"]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    lines += [f"| the page answers / `import gradio` | {statistics.median(ratios):.2f} ({spread}) | {BAR} |"]
    lines += [f"| the engine is there, s | {statistics.median(engines):.1f} | |"]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    args = parser.parse_args(argv)
    rounds = [(imported(), started([sys.executable, "app.py"])) for _ in range(args.rounds)]
    made = table(rounds, f"python -m bench start {' '.join(argv)}".strip())
    sys.stdout.write(made)
    if args.write:
        write_section("Start", f"{ABOUT}\n{made}")
    return 0
