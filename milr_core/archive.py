"""Zips of run bundles: packed, and unpacked without trust in what they say of themselves."""

import io
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from milr_core.errors import InputError, brief

BUNDLE_FILE = re.compile(r"trajectory\.jsonl?|step-[0-9]{3,4}\.png|state-[0-9]{3,4}\.safetensors")
MAX_ENTRIES = 20_100
"""Two a step, and a few."""

MAX_DIRECTORY_BYTES = 4 << 20
MAX_NAME, MAX_DEPTH = 255, 8
CHUNK = 1 << 20
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others unpack without a limit on how much at a time."""


def pack(folder: Path, made: Mapping[str, bytes], names: Sequence[str]) -> bytes:
    """A zip of what is `made`, by name, and of the files of a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in made.items():
            archive.writestr(name, data)
        for name in names:
            archive.write(folder / name, name)
    return buffer.getvalue()


@contextmanager
def unpack(file: Path, folder: Path, limit: int) -> Iterator[None]:
    """Take a bundle's files out of a zip, at most `limit` bytes, into a new folder; what else is in it is passed over.

    A folder around them, as systems add when they zip one, is left out. Where this, or what is done with the files,
    fails, the folder is gone again.

    Raises:
        InputError: no zip that can be read, too large, or no run in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: choose another folder.")
    try:
        _unpacked(file, folder, limit)
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unpacked(file: Path, folder: Path, limit: int) -> None:
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            chosen = _chosen(archive)
            folder.mkdir(parents=True, exist_ok=True)
            left = limit
            for entry, name in chosen:
                left -= _extract(archive, entry, folder / name, left)
                if left < 0:
                    raise InputError(f"The zip unpacks to more than {limit >> 20} MiB; that is too much here.")
    except InputError:
        raise
    except (
        OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error,
    ) as error:  # fmt: skip
        raise InputError(f"{file} is not a zip that can be read: {brief(error)}.") from error


def _check_directory(file: Path) -> None:
    """Refuse a directory of far too many entries before it is read: `zipfile` makes an object of each."""
    with file.open("rb") as opened:
        size = opened.seek(0, io.SEEK_END)
        opened.seek(max(0, size - 65_633))  # the records at the end, and the longest comment
        tail = opened.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise zipfile.BadZipFile("it has no directory")
    (directory,) = struct.unpack("<I", tail[at + 12 : at + 16])
    if tail[max(0, at - 20) : at].startswith(b"PK\6\7"):  # with a record of 64 bits right before
        if at < 76 or not tail[at - 76 : at].startswith(b"PK\6\6"):
            raise zipfile.BadZipFile("its directory is not where it should be")
        (directory,) = struct.unpack("<Q", tail[at - 36 : at - 28])
    if directory > MAX_DIRECTORY_BYTES:
        raise InputError("The zip holds far more files than any run.")


def _chosen(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """The bundle's files, with their names in it."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"The zip holds {len(entries)} files; a run has {MAX_ENTRIES} at most.")
    found: dict[PurePosixPath, list[tuple[zipfile.ZipInfo, str]]] = {}
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))  # as old tools of Windows write it
        if len(entry.filename) > MAX_NAME or len(path.parts) > MAX_DEPTH:
            raise InputError("The zip holds a name that is far longer than any of a run.")
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise InputError(f"The zip holds {entry.filename[:100]!r}, which a run bundle does not.")
        if BUNDLE_FILE.fullmatch(path.name) and path.parts[0] != "__MACOSX":
            found.setdefault(path.parent, []).append((entry, path.name))
    runs = [files for files in found.values() if any(name.startswith("trajectory.") for _, name in files)]
    if len(runs) != 1:
        raise InputError("The zip does not hold a run." if not runs else "The zip holds several runs: zip one.")
    if not all(entry.compress_type in PACKINGS for entry, _ in runs[0]):
        raise InputError(
            "The zip is packed in an unusual way: zip the run again, with the usual compression (deflate)."
        )
    names = [name for _, name in runs[0]]
    if len(set(names)) < len(names):
        raise InputError("The zip does not hold a run: a name is in it twice.")
    return runs[0]


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limit: int) -> int:
    """Copy one file out, up to a chunk beyond the limit; its bytes are counted as they come, whatever the directory
    says. Returns how many.
    """
    written = 0
    with archive.open(entry) as source, target.open("xb") as file:
        while written <= limit and (block := source.read(CHUNK)):
            written += len(block)
            file.write(block)
    return written
