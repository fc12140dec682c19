"""The files of benchmarks: how every reader here reads them; and those of GenEval and T2I-CompBench, downloaded once.

A download that is not byte for byte the file that this was written for is refused: figures would be of other prompts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pooch
from requests import RequestException

from milr_core.errors import InputError, brief

GENEVAL = "https://raw.githubusercontent.com/djghosh13/geneval/main/prompts/"
COMPBENCH = "https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench/main/examples/dataset/"
FILES: dict[str, dict[str, str]] = {  # benchmark -> address -> SHA-256
    "geneval": {
        f"{GENEVAL}evaluation_metadata.jsonl": "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
    },
    "compbench": {
        f"{COMPBENCH}color_val.txt": "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d",
        f"{COMPBENCH}shape_val.txt": "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae",
        f"{COMPBENCH}texture_val.txt": "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f",
        f"{COMPBENCH}spatial_val.txt": "8707a1d7e42ce3002d95363cf55f74bd043c843ae27108f5125aaaa7840ca988",
        f"{COMPBENCH}non_spatial_val.txt": "04c56cc9ac441dc9ea6c5157652058bd1635b5308526dd31bb29a1caab9a758d",
        f"{COMPBENCH}complex_val.txt": "1b808018b8d9916db3d47d5aa2ef18377a3549a56901a474156f799824cdf3b4",
    },
}


def fetch(benchmark: str, folder: Path | None = None) -> Path:
    """The benchmark's file, or the folder of its files, downloaded unless it is there.

    folder: where to keep them; default the user's cache.

    Raises:
        InputError: no network, or a file that is not the expected one.
    """
    folder = (folder or Path(pooch.os_cache("milr"))) / benchmark
    paths = []
    for address, digest in FILES[benchmark].items():
        name = address.rpartition("/")[2]
        try:
            paths.append(Path(pooch.retrieve(address, f"sha256:{digest}", name, folder)))
        except (RequestException, OSError) as error:
            raise InputError(
                f"Cannot download {address}: {type(error).__name__}. With the file on disk, say {benchmark}:PATH."
            ) from error
        except ValueError as error:
            raise InputError(
                f"{address} is not the file it was: its hash differs, so figures would not compare. With the original "
                f"on disk, say {benchmark}:PATH."
            ) from error
    return paths[0] if len(paths) == 1 else folder


def read_text(path: str | Path) -> str:
    """A file's text, with or without a byte order mark.

    Raises:
        InputError: no such file, or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read: it is no text in UTF-8 (byte {error.start}).") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def read_objects(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list or of JSON lines, each with where it is in the file, in words.

    Raises:
        InputError: no such file, not JSON, or something that is no object; says where.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        numbered = [(f"Entry {i} of {path}", record) for i, record in enumerate(_json(text, str(path)), start=1)]
    else:
        lines = enumerate(text.split("\n"), start=1)
        numbered = [(where := f"Line {i} of {path}", _json(line, where)) for i, line in lines if line.strip()]
    for where, record in numbered:
        if not isinstance(record, dict):
            raise InputError(f"{where} is no JSON object.")
        yield where, record


def _json(text: str, where: str) -> Any:
    try:
        read = json.loads(text)
        if "\\u" in text:
            json.dumps(read, ensure_ascii=False).encode()  # half a character could not be written again
        return read
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {brief(error)}.") from error
