"""The tensors in weight files: how they are written and read, and whether all are there."""

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from milr_core.errors import InputError, brief
from milr_core.janus.weight_files import NAMED, check_pointer, weight_files

UNREAD = re.compile(r"inv_freq$|position_ids$|codebook_used$|attn_pool\.")
"""Tensors that some checkpoints hold and no Janus of transformers reads: tables it computes, parts that it lacks."""
NO_TENSORS = "it holds other things than tensors by their names"
FILE_BYTES = 1 << 30  # of weights in one file


def write_weights(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], parameters: int, say: Callable[[float], None]
) -> None:
    """Write tensors as safetensors, with an index if one file does not do. One file's worth is held in memory.

    parameters: how many will come, for `say`, which is told the fraction written.
    """
    files: list[list[str]] = []
    held: dict[str, Tensor] = {}
    done = total = 0

    def flush() -> None:
        save_file(held, folder / f"part-{len(files)}", metadata={"format": "pt"})
        files.append(list(held))
        held.clear()
        say(done / parameters)

    for name, tensor in tensors:
        held[name] = tensor.contiguous().clone()
        done, total = done + tensor.numel(), total + tensor.nbytes
        if sum(one.nbytes for one in held.values()) >= FILE_BYTES:
            flush()
    if held:
        flush()
    places = {}
    for i, names in enumerate(files):
        name = f"model-{i + 1:05}-of-{len(files):05}.safetensors" if len(files) > 1 else "model.safetensors"
        (folder / f"part-{i}").rename(folder / name)
        places |= dict.fromkeys(names, name)
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def read_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a weight file by name, mapped from disk; nothing but tensors is unpickled.

    Raises:
        InputError: the file is no whole weight file.
    """
    check_pointer(path)
    try:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no dict
                    yield name, file.get_tensor(name)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
            if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()):
                raise ValueError(NO_TENSORS)
            yield from tensors.items()
    except InputError:
        raise
    except UnpicklingError as error:  # torch's words tell how to unpickle it all the same
        raise InputError(f"{path} is damaged ({NO_TENSORS}). Download it again.") from error
    except Exception as error:  # safetensors, torch, zipfile and pickle have one each
        raise InputError(f"{path} is damaged ({brief(error)}). Download it again.") from error


def check_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]], packed: bool, tied: bool) -> None:
    """See that a checkpoint in transformers' format holds what its configuration asks for, before anything is loaded.

    shapes: of every parameter, by name. packed: it is quantised: its tensors have other shapes, and more of them.
    tied: its configuration says that the head is the embedding, so that the head may be left out.

    Raises:
        InputError: a tensor is missing, has another shape or kind of number, or there is one more; they are named.
    """
    found: dict[str, tuple[int, ...]] = {}
    odd: list[str] = []
    for name, tensor in (one for path in weight_files(folder) for one in read_tensors(path)):
        found[name] = tuple(tensor.shape)
        if name in shapes and not tensor.is_floating_point():
            odd.append(f"{name} ({str(tensor.dtype).removeprefix('torch.')})")
    missing = [name for name in shapes if name not in found and not (tied and name == "lm_head.weight")]
    other = [f"{n} {found[n]}, not {shape}" for n, shape in shapes.items() if found.get(n, shape) != shape]
    more = [name for name in found if name not in shapes and not UNREAD.search(name)]
    faults = [("has in other shapes", other), ("has too", more), ("has as other than floating-point numbers", odd)]
    for fault, names in (("lacks", missing), *([] if packed else faults)):
        if names:
            rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise InputError(
                f"The checkpoint '{folder.name}' is not what its config.json describes: it {fault} "
                f"{', '.join(names[:NAMED])}{rest}. Download or convert it again."
            )
