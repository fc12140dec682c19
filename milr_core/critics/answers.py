"""Answers that were paid for: kept in memory, and on disk where a file is named, by image, question and model."""

import sqlite3
import threading
from collections import OrderedDict
from contextlib import closing
from pathlib import Path

from milr_core.errors import InputError

KEPT = 2_000  # in memory
_TABLE = "CREATE TABLE IF NOT EXISTS answers (question TEXT PRIMARY KEY, answer TEXT NOT NULL)"
WAIT = 60.0  # seconds for another process that writes


class Answers:
    """Text by the hash of what was asked. Several threads, and several processes with one file, may use it at once.

    Raises:
        InputError: at construction, for a file that cannot be opened or is something else.
    """

    def __init__(self, path: str | Path | None = None):
        self.path: Path | None = None
        self._memory: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()
        if path is not None:
            try:
                self.path = Path(path)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._open()) as disk, disk:
                    disk.execute(_TABLE)
            except (OSError, TypeError, sqlite3.Error) as error:
                raise InputError(f"A judge's answers cannot be kept in {path}: {error}.") from error

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self.path), timeout=WAIT)

    def get(self, question: str) -> str | None:
        with self._lock:
            if question in self._memory or self.path is None:
                return self._memory.get(question)
        with closing(self._open()) as disk:
            row = disk.execute("SELECT answer FROM answers WHERE question = ?", (question,)).fetchone()
        return row[0] if row else None

    def put(self, question: str, answer: str) -> None:
        with self._lock:
            self._memory[question] = answer
            while len(self._memory) > KEPT:
                self._memory.popitem(last=False)
        if self.path is not None:
            with closing(self._open()) as disk, disk:
                disk.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (question, answer))
