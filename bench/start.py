"""python -m bench start: how long until the page answers, against the import of the library that it is made with.

Both are processes of their own, in turns within one run; a ratio is the median of the rounds' ratios.
"""

import argparse
import os
import queue
import resource
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

import psutil

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
rounds. On a busy machine the time of a processor says more: others take none of it.
"""


class Started(NamedTuple):
    """Seconds from the start of a process until it is there (the app: its page), of a processor that it took for that,
    and until the app's engine is there.
    """

    seconds: float
    processor: float
    engine: float = 0.0


def imported() -> Started:
    """What `import gradio` takes, the interpreter's own start included."""
    began, before = time.perf_counter(), _children()
    subprocess.run([sys.executable, "-c", "import gradio"], check=True, cwd=ROOT)
    return Started(time.perf_counter() - began, _children() - before)


def _children() -> float:
    """Seconds of a processor that processes of ours took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def free_port() -> int:
    """Find a port at which nobody listens."""
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
            page, used = time.perf_counter() - began, psutil.Process(app.pid).cpu_times()
            while LOADED not in said.get(timeout=patience):
                pass
            return Started(page, used.user + used.system, time.perf_counter() - began)
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


def table(rounds: Sequence[tuple[Started, Started]], command: str) -> str:
    """Markdown of the rounds. Each: the import, and the app."""
    cores = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    lines = [
        f"{date.today().isoformat()}, {processor_name()}, {cores}; {len(rounds)} rounds.",
        "",
        f"    {command}",
        "",
    ]
    lines += ["| | median | bar |", "|---|---|---|"]
    lines += [f"| `import gradio`, s | {statistics.median(own.seconds for own, _ in rounds):.1f} | |"]
    lines += [f"| the page answers, s | {statistics.median(app.seconds for _, app in rounds):.1f} | |"]
    for what, ratios in (
        ("the page answers / `import gradio`", [app.seconds / own.seconds for own, app in rounds]),
        ("the same in time of a processor", [app.processor / own.processor for own, app in rounds]),
    ):
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines += [f"| {what} | {spread} | {BAR} |"]
    lines += [f"| the engine is there, s | {statistics.median(app.engine for _, app in rounds):.1f} | |"]
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
