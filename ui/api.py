"""The one public endpoint: a whole search without a session, for scripts (`gradio_client`) and agents (MCP)."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from milr_core import InputError, SearchControl, SearchSettings, Trajectory
from milr_core.diagnostics import flags
from ui.engines.base import TOLD, Engine, Job
from ui.session import Session
from ui.shared_state import SharedState

MOST_STEPS = 64
"""Of one call: nobody can stop it but its caller."""


def build_api(shared: SharedState) -> Callable[..., Iterator[dict[str, Any]]]:
    """The endpoint's function for this app's model."""

    def search_image(
        prompt: str,
        critic: str = "oracle",
        observer: str = "",
        steps: int = 8,
        seed: int = 0,
        threshold: float = 0.9,
        strategy: str = "joint",
        text_ratio: float = 0.0,
        image_ratio: float = 0.0,
        lr: float = 0.0,
        guidance: float = 0.0,
        temperature: float = 1.0,
    ) -> Iterator[dict[str, Any]]:
        """Reason about a prompt, draw it, and search for a drawing that a critic likes better (MILR).

        Answers after every step with {"steps": [{"index", "text", "reward", "parts", "reason", "observed", "best",
        "seconds", "flags"}, ...], "best": index}; the last answer also holds "image", the best one (PNG), and
        "bundle", the whole run (zip), which the page opens and `python -m milr_core reason --resume` goes on from.

        Args:
            prompt: What to draw, for example "two red circles left of a blue square".
            critic: Who scores the image, a name such as oracle or self, or a mixture such as 0.7*oracle+0.3*self.
            observer: A critic that scores every step as well and is never listened to; empty for none.
            steps: Steps of search at most after step 0; 0 to 64.
            seed: Same seed, same machine: same run.
            threshold: The search stops at a score above this, 0 to 1.
            strategy: What a step moves: joint, alt, t2v, text or image.
            text_ratio: Share of the reasoning tokens that is optimised, up to 1; 0 takes the model's own setting.
            image_ratio: Share of the image tokens that is optimised, up to 1; 0 takes the model's own setting.
            lr: Learning rate on the latents, up to 10; 0 takes the model's own setting.
            guidance: Weight of classifier-free guidance, up to 50; 0 takes the model's own setting.
            temperature: Of sampling image tokens, 0 to 10.
        """
        try:
            for name, text in (("prompt", prompt), ("critic", critic), ("observer", observer)):
                if not isinstance(text, str):  # gradio passes on whatever JSON it was sent
                    raise InputError(f"{name} is text; got {text!r}.")
            settings = SearchSettings(
                strategy=strategy, steps=steps, seed=seed, threshold=threshold, temperature=temperature,
                text_ratio=text_ratio or None, image_ratio=image_ratio or None, lr=lr or None,
                guidance=guidance or None,
            )  # fmt: skip
            if settings.steps > MOST_STEPS:
                raise InputError(f"One call makes {MOST_STEPS} steps at most; got {steps}.")
            shared.check_steps(settings.steps)
            observers = (observer,) if observer else ()
            engine = shared.engine
            yield from _search(shared, engine, engine.check(Job(prompt, settings, critic, observers)))
        except TOLD as error:
            raise gr.Error(str(error), print_exception=False) from error

    return search_image


@dataclass
class Call:
    """What visitors wait for while a call computes. left: its steps to come at most."""

    left: int


def _search(shared: SharedState, engine: Engine, job: Job) -> Iterator[dict]:
    control = SearchControl()
    folder = Path(get_upload_folder()) / "milr-api" / secrets.token_hex(16)
    bundle = Trajectory.create(folder / "run", engine.facts, job.critic, job.prompt)
    steps, caller = [], Session(active=Call(job.settings.steps + 1))
    shared.line.serve(caller)
    try:
        for step in engine.reason(job, control):
            bundle.append(step.state)
            steps.append(step)
            shared.took(step.cost.seconds)
            caller.active.left -= 1
            yield _told(steps)
        images = [folder / "run" / record["image"] for record in bundle.records]
        yield _told(steps) | {
            "image": FileData(path=str(images[steps[-1].best]), orig_name="best.png").model_dump(),
            "bundle": FileData(path=str(bundle.to_zip(folder / "run.zip")), orig_name="run.zip").model_dump(),
        }
    finally:
        control.stop()
        shared.line.leave(caller)


def _told(steps: list) -> dict[str, Any]:
    return {
        "steps": [
            {
                "index": step.index,
                "text": step.text,
                "reward": step.reward,
                "parts": step.parts,
                "reason": step.reason,
                "observed": {name: score.value for name, score in step.observed.items()},
                "best": step.best,
                "seconds": round(step.cost.seconds, 4),
                "flags": [flag.kind for flag in flags(steps, step.index)],
            }
            for step in steps
        ],
        "best": steps[-1].best,
    }
