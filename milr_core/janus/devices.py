"""Which device to compute on, in which precision, and how much memory is free there."""

import platform
import re
from pathlib import Path

import psutil
import torch

from milr_core.errors import InputError

CGROUP = Path("/sys/fs/cgroup")


def default_device() -> str:
    """The best device of this machine."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_named(word: str | torch.device | None = None) -> torch.device:
    """The device that a word names, whether this machine has it or not; without one, the best of this machine.

    Raises:
        InputError: it names none.
    """
    try:
        device = torch.device(default_device() if word is None else str(word).strip().lower())
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"There is no device '{word}'. This machine has {', '.join(devices_here())}.")
    return device


def device_here(word: str | torch.device | None = None) -> torch.device:
    """Return `device_named`, if this machine has it.

    Raises:
        InputError: it does not; what it has is said.
    """
    device, here = device_named(word), devices_here()
    if (str(device) if device.type == "cuda" else device.type) not in here:
        raise InputError(f"This machine has no device '{word}': it has {', '.join(here)}. Leave it out for the best.")
    return device


def devices_here() -> list[str]:
    """Every word that names a device of this machine."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{i}" for i in range(count))] if count else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def default_dtype(device: str | torch.device) -> torch.dtype:
    """float32 on a CPU; bfloat16 on a GPU that has it, float16 on others and on MPS."""
    kind = device_named(device).type
    if kind == "cpu":
        return torch.float32
    return torch.bfloat16 if kind == "cuda" and torch.cuda.is_bf16_supported() else torch.float16


def free_bytes(device: str | torch.device | None = None) -> int:
    """Bytes that can be allocated on a device; default: on the best one. A container's own limit counts."""
    device = device_named(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return int(min(psutil.virtual_memory().available, _container_room()))


def _container_room() -> float:
    """What a container's limit leaves, its file cache counted as free; infinite without a limit."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))


def processor_name() -> str:
    """This machine's processor, in words."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", info.read_text(encoding="utf-8")) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()
