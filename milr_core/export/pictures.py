"""Which steps of a run a file shows, and their pictures as addresses that hold the picture itself."""

import base64
import io
from collections.abc import Sequence

from PIL import Image

from milr_core import Step
from milr_core.export.run import Run
from milr_core.trajectory import stamp

LARGEST = 768
"""Pixels of the longer side of a picture that is compressed."""


def chosen(run: Run, count: int) -> list[int]:
    """Choose at most `count` steps (at least three): all, or the first, the best, the last and others evenly spaced."""
    last = len(run.steps) - 1
    if last < count:
        return list(range(last + 1))
    between = max(count - 1, 2)
    evenly = {round(i * last / (between - 1)) for i in range(between)}
    return sorted(evenly | {run.best})


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def as_png(run: Run, step: Step) -> str:
    """Exact, and with prompt, model and settings in its metadata, as the bundle's own picture."""
    made = {"id": run.model, "weights_hash": run.weights_hash}
    file = io.BytesIO()
    step.image.save(file, "PNG", optimize=True, pnginfo=stamp(run.prompt, made, step.settings.as_dict()))
    return _address("png", file.getvalue())


def as_webp(step: Step) -> str:
    """Compressed with a loss that is hard to see, and no larger than a page shows it."""
    image = step.image.copy()
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=88, method=4)
    return _address("webp", file.getvalue())


def addresses(run: Run, shown: Sequence[int], limit: int) -> tuple[dict[int, str], bool]:
    """The pictures by step, and whether they are compressed: they are where exact ones would take more than `limit`."""
    made: dict[int, str] = {}
    for index in shown:
        made[index] = as_png(run, run.steps[index])
        if sum(map(len, made.values())) > limit:
            return {i: as_webp(run.steps[i]) for i in shown}, True
    return made, False
