"""The tensors of a state, as they lie beside its record: what a run goes on from, and what looking at it does without.

They are read without trust: a file that was written elsewhere may hold anything.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from milr_core.critics.base import Usage
from milr_core.latents import Latents
from milr_core.record import StepRecord
from milr_core.state import Drawn, State

_GROUP = ("values", "positions", "mean", "variance", "count")


def packed(state: State) -> bytes:
    """What of a state is tensors, as a safetensors file."""
    tensors = {
        "rollout_text": state.drawn.text_hidden, "rollout_image": state.drawn.image_hidden, "random": state.random,
    }  # fmt: skip
    for kind, z in state.latents.items():
        tensors |= {f"{kind}.{k}": getattr(z, k) for k in _GROUP}
    return save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})


def unpacked(
    data: bytes, record: StepRecord, prompt: str, image: Image.Image, values: tuple[float, ...], spent: Usage,
    kept: State | None,
) -> State:  # fmt: skip
    """The state that a record and a safetensors file were made of. values, spent, kept: as of `State`, from the
    records before.

    Raises:
        SafetensorError, KeyError, TypeError: it is no such file, a tensor is missing, or not one that such a step has.
    """
    tensors = load(data)
    _check(record, tensors)
    step = record.step(image)
    drawn = Drawn(
        record.text, record.text_tokens, record.token_strings, tensors["rollout_text"], record.image_tokens,
        tensors["rollout_image"], image, replace(step.score, raw=record.raw), step.observed, step.cost,
    )  # fmt: skip
    return State(
        prompt, record.index, step.settings, drawn, values, tensors["random"],
        latents={
            kind: Latents(**{k: tensors[f"{kind}.{k}"] for k in _GROUP}, ratio=about.ratio, rule=about.rule)
            for kind, about in record.latents.items()
        },
        spent=spent,
        norms={kind: (record.gradient_norm[kind], record.update_norm[kind]) for kind in record.gradient_norm},
        method=record.method, memory=record.memory, kept=kept, probabilities=step.probabilities,
    )  # fmt: skip


def _check(record: StepRecord, tensors: Mapping[str, Tensor]) -> None:
    """What a search would go on from without a word, or break off over: shapes, types, numbers that are none."""

    def check(name: str, holds: bool) -> None:
        if not holds:
            raise TypeError(f"{name} is not what such a step has")

    totals = {"text": len(record.text_tokens), "image": len(record.image_tokens)}
    width = tensors["rollout_text"].shape[-1:]
    for kind, shape in (("text", width), ("image", (2, *width))):
        hidden = tensors[f"rollout_{kind}"]
        check(f"rollout_{kind}", hidden.shape == (totals[kind], *shape) and _finite(hidden))
        if kind not in record.latents:
            continue
        group = {k: tensors[f"{kind}.{k}"] for k in _GROUP}
        count = len(group["positions"])
        for k in ("positions", "count"):
            whole = group[k].dtype == torch.int64 and group[k].shape == (count,)
            check(f"{kind}.{k}", whole and bool((group[k] >= 0).all()))
        check(f"{kind}.positions", len(group["positions"].unique()) == count)
        for k in ("values", "mean", "variance"):
            check(f"{kind}.{k}", group[k].shape == (count, *shape) and _finite(group[k]))
        check(f"{kind}.variance", bool((group["variance"] >= 0).all()))
    if "image" in record.latents:
        check("image.positions", bool((tensors["image.positions"] < totals["image"]).all()))
    random = tensors["random"]
    check("random", random.dtype == torch.uint8 and random.shape == torch.get_rng_state().shape)


def _finite(values: Tensor) -> bool:
    return values.is_floating_point() and bool(values.isfinite().all())
