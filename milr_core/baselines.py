"""What MILR is compared with: text-enhanced reasoning (step 0) and Best-of-N, with and without early stop."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from milr_core.control import SearchControl
from milr_core.critics.base import Critic
from milr_core.decoding import FREE
from milr_core.errors import InputError, Stopped
from milr_core.janus import Janus
from milr_core.rollout import Clock, Workspace, check_judges, judge, observe
from milr_core.search import start
from milr_core.settings import SearchSettings
from milr_core.state import State
from milr_core.steps import Cost, Step


def text_enhanced(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    observers: Sequence[Critic] = (),
) -> Step:
    """Step 0 of MILR: reason, draw once (the paper's zero-step control)."""
    return start(model, critic, prompt, settings or SearchSettings(), observers=observers).step


def best_of_n(
    model: Janus,
    critic: Critic,
    prompt: str,
    n: int,
    settings: SearchSettings | None = None,
    early_stop: bool = True,
    batch: int = 1,
    control: SearchControl | None = None,
    observers: Sequence[Critic] = (),
) -> Iterator[Step]:
    """N independent images of one greedy reasoning text; yields each, `best` is the best so far.

    The first is the same as step 0 of a search with these settings. early_stop: end at the first score above tau,
    as MILR does. batch: images drawn at once (with early stop, what a batch draws beyond the stop is not counted
    out: it was paid for). observers: critics that score every image into `Step.observed` and choose nothing.

    Raises:
        InputError: n or batch below 1, or bad input as for `reason`. CriticError: an image could not be judged.
    """
    if n < 1 or batch < 1:
        raise InputError(f"Best-of-N draws at least one image, at least one at a time; got n={n}, batch={batch}.")
    settings = (settings or SearchSettings()).resolve(model.recommended)
    model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    return _attempts(model, critic, prompt, n, settings, early_stop, batch, control or SearchControl(), observers)


def _attempts(
    model: Janus,
    critic: Critic,
    prompt: str,
    n: int,
    settings: SearchSettings,
    early_stop: bool,
    batch: int,
    control: SearchControl,
    observers: Sequence[Critic],
) -> Iterator[Step]:
    workspace = Workspace(model)
    try:
        state = start(model, critic, prompt, settings, control.poll, workspace, observers)
        yield state.step
        while state.index + 1 < n and not (early_stop and state.score.value > settings.threshold):
            count = min(batch, n - state.index - 1)
            for drawn in _draw(model, critic, state, count, control, workspace, observers):
                state = drawn
                yield state.step
                if early_stop and state.score.value > settings.threshold:
                    return
    except Stopped:
        return


def _draw(
    model: Janus,
    critic: Critic,
    state: State,
    count: int,
    control: SearchControl,
    workspace: Workspace,
    observers: Sequence[Critic],
) -> Iterator[State]:
    """`count` more images of the state's text, drawn in one batch."""
    clock = Clock(model)
    generator = torch.Generator()
    generator.set_state(state.random)
    uniform = torch.rand(count, model.num_image_tokens, generator=generator).to(model.device)
    forced = torch.full((count, model.num_image_tokens), FREE, device=model.device)
    tokens, rollouts = workspace.images(state.prompt, state.text, uniform, forced, state.settings, control.poll)
    clock.lap("image_seconds")
    images = model.images_of(tokens)
    clock.lap("pixels_seconds")
    random = generator.get_state()
    shared = {name: seconds / count for name, seconds in clock.parts.items()}
    for row, image in enumerate(images):
        clock = Clock(model)
        score = judge(critic, image, state.prompt)
        clock.lap("critic_seconds")
        observed = observe(observers, image, state.prompt)
        clock.lap("observer_seconds")
        state = replace(
            state,
            index=state.index + 1,
            image_tokens=tokens[row].tolist(),
            image=image,
            score=score,
            observed=observed,
            values=(*state.values, score.value),
            rollout_image=rollouts[row],
            random=random,
            cost=Cost(1, 0, model.num_image_tokens, 1, **shared, **clock.parts),
        )
        yield state
