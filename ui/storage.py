"""Where files for visitors lie: runs, exports, uploads, all under one folder, with an age and a size.

The folder is gradio's own (`GRADIO_TEMP_DIR`), since the browser is given files from there only; `MILR_DATA` names
another one.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path

from gradio.utils import get_upload_folder

from milr_core import InputError
from ui.panels.scripted import runs_folder


def claim_folder(env: MutableMapping[str, str]) -> Path:
    """The folder, made if it is not there, and from now on gradio's.

    Raises:
        InputError: nothing can be written there; names the folder and what to set.
    """
    if env.get("MILR_DATA"):
        env["GRADIO_TEMP_DIR"] = str(Path(env["MILR_DATA"]).resolve())
    for folder in (Path(get_upload_folder()), runs_folder()):  # either may be another user's
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f"probe-{secrets.token_hex(8)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"Files for visitors cannot be written to {folder} ({error.strerror}): set MILR_DATA or "
                "GRADIO_TEMP_DIR to a folder of your own."
            ) from error
    return Path(get_upload_folder())


class Storage:
    """hours: after which a file that no visit holds is deleted. mebibytes: of all files; 0 for any number."""

    def __init__(self, hours: float, mebibytes: int = 0):
        self.hours, self.most = hours, mebibytes << 20
        self.used = 0

    @property
    def folder(self) -> Path:
        return Path(get_upload_folder())

    def room(self) -> Path:
        """A new folder's path for a visit; its name cannot be guessed."""
        return runs_folder() / secrets.token_hex(16)

    def check(self) -> None:
        """Raise InputError where there is no room for another run."""
        if self.most and self.used >= self.most:
            raise InputError("The page has no room for another run now: older ones are cleared soon, try again then.")

    def sweep(self, live: Iterable[Path] = ()) -> None:
        """Delete what is too old and count what is left. live: folders of visits, which keep theirs."""
        kept, before, used = set(live), time.time() - 3600 * self.hours, 0
        for path, stat in _files(self.folder, kept):
            if stat.st_mtime < before:
                path.unlink(missing_ok=True)
            else:
                used += stat.st_size
        for folder in kept:
            used += sum(stat.st_size for _, stat in _files(folder, set()))
        self.used = used
        _prune(self.folder, kept)

    def delete(self, path: str | Path) -> None:
        """A visitor's upload, with the folder that gradio gave it to itself; nothing else that a path may be of."""
        own = Path(path).resolve().parent
        if own.parent == self.folder.resolve() and own != runs_folder().resolve():
            shutil.rmtree(own, ignore_errors=True)


def _files(folder: Path, without: set[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(at, name) not in without]
        for name in names:
            try:
                yield Path(at, name), os.lstat(Path(at, name))
            except OSError:  # gone meanwhile
                continue


def _prune(folder: Path, kept: set[Path]) -> None:
    """Remove folders that are empty and a minute old: a younger one may be waiting for its first file."""
    for at, _, _ in os.walk(folder, topdown=False):
        path = Path(at)
        try:
            if path != folder and path not in kept and time.time() - path.stat().st_mtime > 60:
                path.rmdir()
        except OSError:  # not empty, or gone
            continue
