"""What the commands write: in any encoding, and nothing of a file or a judge that a terminal would obey."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from milr_core.critics.base import plain_text
from milr_core.janus import Loading, Progress

_C1 = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # JSON escapes the others


def json_line(record: dict[str, Any], stream: TextIO) -> str:
    """One line of JSON in the characters that the stream can write, the others as escapes."""
    utf8 = (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"
    line = json.dumps(record, ensure_ascii=not utf8)
    return _C1.sub(lambda match: f"\\u{ord(match[0]):04x}", line) + "\n"


def say(line: str) -> None:
    """A line for the person at the terminal, beside the output."""
    sys.stderr.write(f"{plain_text(line)}\n")


@contextmanager
def loading_bar(quiet: bool = False) -> Iterator[Progress]:
    """A bar for a model that is being loaded, on a terminal; gone in the end."""
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(total=1.0, disable=hidden, leave=False, bar_format="{desc} |{bar}| {elapsed}") as bar:

        def show(loading: Loading) -> None:
            bar.set_description_str(loading.words, refresh=False)
            bar.n = loading.done or 0.0
            bar.refresh()

        yield show


def write_any_character() -> None:
    """Characters that an output's encoding lacks (cp1252, where Windows redirects) are escaped, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def words_of(error: Exception) -> str:
    """What an error is for a person; of the system's, such as a full disk, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    return str(error)


def discard_output() -> None:
    """Nobody reads standard output any more, or it is full: what is left in its buffer goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
