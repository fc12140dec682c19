"""Weight files as transformers reads them, written while the tensors come."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

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
