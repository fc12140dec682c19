"""Which device to compute on, in which precision, and how much memory is free there."""

from pathlib import Path

import psutil
import torch

CGROUP = Path("/sys/fs/cgroup")


def default_device() -> str:
    """The best device of this machine."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def default_dtype(device: str) -> torch.dtype:
    """float32 on a CPU; bfloat16 on a GPU that has it, float16 on others and on MPS."""
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.float32
    return torch.bfloat16 if kind == "cuda" and torch.cuda.is_bf16_supported() else torch.float16


def free_bytes(device: str | torch.device | None = None) -> int:
    """Bytes that can be allocated on a device; default: on the best one. A container's own limit counts."""
    device = torch.device(device or default_device())
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return min(psutil.virtual_memory().available, _container_room())


def _container_room() -> float:
    """What a container's limit leaves, its file cache counted as free; infinite without a limit."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
