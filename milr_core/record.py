"""A step of a run bundle: a state as a record of plain data and a dictionary of tensors, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from milr_core.critics.base import Score, Usage
from milr_core.latents import Latents
from milr_core.settings import settings_from
from milr_core.state import Sample, State
from milr_core.steps import Cost, Probabilities

_GROUP = ("values", "positions", "mean", "variance", "count", "origin")


def tensors_of(state: State) -> dict[str, Tensor]:
    """What of a state is tensors, in main memory."""
    tensors = {"rollout_text": state.rollout_text, "rollout_image": state.rollout_image, "random": state.random}
    for name, group in (("text", state.text_latents), ("image", state.image_latents)):
        if group is not None:
            tensors |= {f"{name}.{k}": getattr(group, k) for k in _GROUP}
    return {k: v.detach().cpu().contiguous() for k, v in tensors.items()}


def record_of(state: State) -> dict[str, Any]:
    """All else, as JSON holds it, with the names of the files that the image and the tensors are written to."""
    groups = {"text": state.text_latents, "image": state.image_latents}
    record = {
        "index": state.index,
        "text": state.text,
        "reward": state.score.value,
        "parts": state.score.parts,
        "reason": state.score.reason,
        "raw": state.score.raw,
        "best": state.best,
        "settings": state.settings.as_dict(),
        "cost": asdict(state.cost),
        "text_tokens": state.text_tokens,
        "token_strings": state.token_strings,
        "text_prefix": state.step.text_prefix,
        "text_positions": state.step.text_positions,
        "image_tokens": state.image_tokens,
        "image_positions": state.step.image_positions,
        "gradient_norm": state.gradient_norm,
        "update_norm": state.update_norm,
        "latents": {name: {"ratio": g.ratio, "rule": g.rule} for name, g in groups.items() if g is not None},
        "image": f"step-{state.index:03d}.png",
        "state": f"state-{state.index:03d}.safetensors",
    }
    if state.pending:
        record["pending"] = [asdict(sample) for sample in state.pending]
    if state.tried:
        record["tried"] = list(state.tried)
    if state.observed:
        record["observed"] = {
            name: {"value": score.value, "parts": score.parts, "reason": score.reason}
            for name, score in state.observed.items()
        }
    if state.probabilities:
        record["probabilities"] = asdict(state.probabilities)
    return record


def check_tensors(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """What a search would go on from without a word, or break off over: shapes, types, numbers that are none.

    Raises:
        KeyError, TypeError: a tensor is missing, or is not one of such a step.
    """

    def check(name: str, holds: bool) -> None:
        if not holds:
            raise TypeError(f"{name} is not what such a step has")

    totals = {"text": len(record["text_tokens"]), "image": len(record["image_tokens"])}
    width = tensors["rollout_text"].shape[-1:]
    for name, shape in (("text", width), ("image", (2, *width))):
        rollout = tensors[f"rollout_{name}"]
        check(f"rollout_{name}", rollout.shape == (totals[name], *shape) and _finite(rollout))
        if name not in record["latents"]:
            continue
        group = {k: tensors[f"{name}.{k}"] for k in _GROUP if f"{name}.{k}" in tensors}
        count = len(group["positions"])
        for k in ("positions", "count"):
            check(
                f"{name}.{k}",
                group[k].dtype == torch.int64 and group[k].shape == (count,) and bool((group[k] >= 0).all()),
            )
        check(f"{name}.positions", len(group["positions"].unique()) == count)
        for k in group.keys() - {"positions", "count"}:
            check(f"{name}.{k}", group[k].shape == (count, *shape) and _finite(group[k]))
        check(f"{name}.variance", bool((group["variance"] >= 0).all()))
    if "image" in record["latents"]:
        check("image.positions", bool((tensors["image.positions"] < totals["image"]).all()))
    check("random", tensors["random"].dtype == torch.uint8 and tensors["random"].shape == torch.get_rng_state().shape)


def _finite(values: Tensor) -> bool:
    return values.is_floating_point() and bool(values.isfinite().all())


def state_of(
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    prompt: str,
    values: tuple[float, ...],
    image: Image.Image,
    spent: Usage,
    anchor: State | None,
) -> State:
    """The state that the two were made of. values, spent, anchor: as of `State`, from the records before.

    Raises:
        KeyError, TypeError, InputError, CriticError: something is missing, or not what it has to be.
    """
    check_tensors(record, tensors)
    groups = {
        name: Latents(
            **{k: tensors[f"{name}.{k}"] for k in _GROUP[:-1]},
            # Bundles from before latents kept their origin were made with no trust region to need it.
            origin=tensors.get(f"{name}.origin", tensors[f"{name}.values"]),
            ratio=float(about["ratio"]),
            rule=str(about["rule"]),
        )
        for name, about in record["latents"].items()
    }
    return State(
        prompt=prompt,
        index=record["index"],
        settings=settings_from(record["settings"]),
        text=record["text"],
        text_tokens=record["text_tokens"],
        token_strings=record["token_strings"],
        image_tokens=record["image_tokens"],
        image=image,
        score=Score(record["reward"], record["parts"], record["reason"], record["raw"]),
        values=values,
        rollout_text=tensors["rollout_text"],
        rollout_image=tensors["rollout_image"],
        text_latents=groups.get("text"),
        image_latents=groups.get("image"),
        random=tensors["random"],
        cost=Cost(**record["cost"]),
        gradient_norm=record["gradient_norm"],
        update_norm=record["update_norm"],
        spent=spent,
        observed={name: Score(**observed) for name, observed in record.get("observed", {}).items()},
        probabilities=Probabilities(**record["probabilities"]) if "probabilities" in record else None,
        pending=tuple(Sample(**sample) for sample in record.get("pending", [])),
        anchor=anchor,
        tried=tuple(record.get("tried", [])),
    )
