"""The one public endpoint: a whole search without a session, for scripts (`gradio_client`) and agents (MCP)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.events import api

from milr_core import InputError, SearchControl, SearchSettings, Trajectory
from milr_core.diagnostics import flags
from milr_core.engine import Job, run
from milr_core.export.recipe import setting
from ui.engines.base import TOLD
from ui.redraw_pace import LOOK_SECONDS
from ui.shared_state import SharedState, check_texts
from ui.waiting_list import Turn

MOST_STEPS = 64
"""Of one call: nobody can stop it but its caller."""

OWN = ("text_ratio", "image_ratio", "lr", "guidance")
"""Settings of which 0 means the model's own."""


def add_endpoints(shared: SharedState) -> None:
    """Add to the page under construction: `/search_image`, and for agents a tool of that name whose answer begins with
    the picture."""
    steps = build_api(shared)
    steps.__name__ = "search_image_steps"
    api(steps, api_name="search_image", concurrency_limit=None)
    api(build_tool(shared), api_name="search_image_picture", concurrency_limit=None)


def build_api(shared: SharedState) -> Callable[..., AsyncIterator[dict[str, Any]]]:
    """The endpoint's function for this app's model."""

    async def search_image(
        request: gr.Request,
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
    ) -> AsyncIterator[dict[str, Any]]:
        """Reason about a prompt, draw it, and search for a drawing that a critic likes better (MILR).

        Answers after every step with {"steps": [{"index", "text", "reward", "parts", "reason", "observed", "best",
        "seconds", "flags"}, ...], "best": index}; the last answer also holds "image", the best one (PNG), and
        "bundle", the whole run (zip), which the page opens and `python -m milr_core reason --resume` goes on from.

        Args:
            prompt: What to draw, for example "a red dog left of a blue car".
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
        given = {
            "steps": steps, "seed": seed, "threshold": threshold, "strategy": strategy, "text_ratio": text_ratio,
            "image_ratio": image_ratio, "lr": lr, "guidance": guidance, "temperature": temperature,
        }  # fmt: skip
        while shared.loading:
            await asyncio.sleep(LOOK_SECONDS)
        try:
            job = await asyncio.to_thread(_checked, shared, prompt, critic, observer, given)
            async for answer in _search(shared, job, shared.admit_call(request)):
                yield answer
        except TOLD as error:
            raise gr.Error(str(error), print_exception=False) from error

    return search_image


def build_tool(shared: SharedState) -> Callable[..., Any]:
    """The same for an agent, which is shown the picture before the figures."""
    endpoint = build_api(shared)

    async def search_image(
        request: gr.Request,
        prompt: str,
        critic: str = "oracle",
        observer: str = "",
        steps: int = 8,
        seed: int = 0,
        threshold: float = 0.9,
        strategy: str = "joint",
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reason about a prompt, draw it, and search for a drawing that a critic likes better (MILR).

        Answers with the best picture, and with the steps of the search: texts, rewards, and the run as a file.

        Args:
            prompt: What to draw, for example "a red dog left of a blue car".
            critic: Who scores the image, a name such as oracle or self, or a mixture such as 0.7*oracle+0.3*self.
            observer: A critic that scores every step as well and is never listened to; empty for none.
            steps: Steps of search at most after step 0; 0 to 64.
            seed: Same seed, same machine: same run.
            threshold: The search stops at a score above this, 0 to 1.
            strategy: What a step moves: joint, alt, t2v, text or image.
        """
        asked = endpoint(request, prompt, critic, observer, steps, seed, threshold, strategy)
        *_, last = [answer async for answer in asked]
        return last.pop("image"), last

    return search_image


def _checked(shared: SharedState, prompt: str, critic: str, observer: str, given: dict[str, Any]) -> Job:
    """The job that is asked for. Raises as `Engine.check` does, and InputError for what is not allowed here."""
    check_texts(prompt=prompt, critic=critic, observer=observer)
    values: dict[str, Any] = {name: setting(name, value) for name, value in given.items() if value or name not in OWN}
    if values["steps"] > MOST_STEPS:
        raise InputError(f"One call makes {MOST_STEPS} steps at most; got {values['steps']}.")
    shared.check_steps(values["steps"])
    shared.check_critics(critic, *([observer] if observer else []))
    return shared.engine.check(Job(prompt, SearchSettings(**values), critic, (observer,) if observer else ()))


async def _search(shared: SharedState, job: Job, caller: str) -> AsyncIterator[dict]:
    """The steps of a job, made in a turn of the line like those of a visitor."""
    engine, control, steps = shared.engine, SearchControl(), []
    folder, problem = shared.storage.room(), []
    asked = job.critic, job.prompt, job.settings, job.observers
    bundle = Trajectory.create(folder / "run", engine.facts.made_by, *asked)

    def work() -> Iterator[None]:
        try:
            for step in run(engine, job, control):
                bundle.append(step.state)
                shared.took(step.cost.seconds)
                steps.append(replace(step, state=None))
                yield
        except Exception as error:
            problem.append(error)

    turn = Turn(work, lambda: job.settings.steps + 1 - len(steps), caller)
    shared.line.join(turn)
    try:
        told = 0
        while shared.line.holds(turn) or told < len(steps):
            if told < len(steps):
                told += 1
                yield _told(steps[:told])
            else:
                await asyncio.sleep(LOOK_SECONDS)
        if problem:
            raise problem[0]
        image = bundle.image_path(steps[-1].best)
        packed = await asyncio.to_thread(bundle.to_zip, folder / "run.zip")
        yield _told(steps) | {
            "image": FileData(path=str(image), orig_name="best.png").model_dump(),
            "bundle": FileData(path=str(packed), orig_name="run.zip").model_dump(),
        }
    finally:  # whoever called has gone, or has it all
        control.stop()
        shared.line.leave(turn)


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
