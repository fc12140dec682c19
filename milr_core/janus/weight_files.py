"""Weight files: which of a folder's files they are, whether they are whole, and their hash. Without torch."""

import hashlib
import json
import re
from pathlib import Path

from milr_core.errors import InputError

LFS = b"version https://git-lfs"  # what a file begins with that git-lfs has left for the real one
NAMES = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them
NAMED = 5  # files or tensors that an error names


def check_pointer(path: Path) -> None:
    """Raise InputError where a file is git-lfs's stand-in for the real one."""
    if path.is_file() and path.open("rb").read(len(LFS)) == LFS:
        raise InputError(
            f"{path} is a git-lfs pointer, not the file itself. Run `git lfs pull` in its folder, or download it again."
        )


def weight_files(folder: Path) -> list[Path]:
    """The files that the weights are read from, shards in the order of their names; no others are looked at.

    Raises:
        InputError: there are none, a shard is missing, or the index cannot be read.
    """
    for name in NAMES:
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            return _indexed(folder / f"{name}.index.json")
    for name in NAMES:  # DeepSeek's folders need no index
        stem, suffix = name.split(".")
        if files := sorted(folder.glob(f"{stem}-*-of-*.{suffix}")):
            count = int(re.sub(r"\D", "", files[0].stem.rpartition("-of-")[2]) or 0)
            if count != len(files):
                raise InputError(f"'{folder}' holds {len(files)} of {count} weight files. Download the others.")
            return files
    raise InputError(f"'{folder}' holds no weights: neither {' nor '.join(NAMES)}. Download the checkpoint again.")


def _indexed(index: Path) -> list[Path]:
    """The shards that an index names."""
    check_pointer(index)
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].values()))
        files = [index.parent / Path(name).name for name in names]  # beside the index, whatever it says
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index} is damaged ({type(error).__name__}: {error}). Download it again.") from error
    if missing := [path.name for path in files if not path.is_file()]:
        raise InputError(f"'{index.parent}' lacks {', '.join(missing[:NAMED])}, which its index names. Download it.")
    return files


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weight file, or of the hashes of several; says whether these weights made a saved run."""
    hashes = [_hash(path) for path in weight_files(folder)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _hash(path: Path) -> str:
    """SHA-256 of a file. The hub's cache names files by it: nothing to read there, and files are large."""
    name = path.resolve().name
    if path.is_symlink() and re.fullmatch("[0-9a-f]{64}", name):
        return name
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
