"""MILR (paper, Algorithms 1 and 2) as a pure function on a state: `start` makes one, `advance` the next.

`reason` is the loop over `advance` that callers consume.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from milr_core import coordinate, reinforce
from milr_core import latents as lat
from milr_core.control import SearchControl
from milr_core.critics.base import NOTHING, Critic
from milr_core.errors import Stopped
from milr_core.janus import Janus
from milr_core.janus.decode import Poll, keep_going, pick
from milr_core.janus.workspace import Workspace
from milr_core.latents import Latents
from milr_core.rollout import Rollout, check_judges, ready
from milr_core.settings import SearchSettings, recommended_settings
from milr_core.state import Sample, State
from milr_core.steps import Step


def moved(strategy: str, k: int, steps: int) -> tuple[bool, bool]:
    """Whether step k of K moves the text latents, and the image latents (paper, Algorithm 2)."""
    if strategy == "alt":
        return k % 2 == 1, k % 2 == 0
    if strategy == "t2v":
        return k <= steps // 2, k > steps // 2
    return strategy in ("joint", "text"), strategy in ("joint", "image")


def start(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings,
    poll: Poll = keep_going,
    workspace: Workspace | None = None,
    observers: Sequence[Critic] = (),
) -> State:
    """Step 0: reason greedily, draw, score; what text-enhanced reasoning gives.

    observers: critics that score the image as well, into `observed`; nothing depends on what they say.

    Raises:
        InputError: a prompt that the model or the critic cannot take. CriticError: the image could not be judged.
    """
    settings = settings.resolve(model.recommended)
    prompt = model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    workspace = workspace or Workspace(model)
    generator = torch.Generator().manual_seed(settings.seed)
    rollout = Rollout(model, critic, prompt, settings, generator, poll, workspace, observers)
    nothing = torch.empty(0, dtype=torch.long, device=model.device)
    tokens, latents = workspace.text(prompt, nothing, poll)
    return rollout.finish(
        0, tokens, latents, len(tokens), None, text_latents=None, image_latents=None, gradient_norm={}, update_norm={}
    )


def _update(
    old: Latents, logits: Callable[[Tensor], Tensor], decoded: list[Tensor], advs: list[float], s: SearchSettings
) -> tuple[Latents, float, float]:
    """One REINFORCE step on a group: the new latents, the gradient's norm, the update's norm.

    logits: latents (n, ...) -> (n, V). decoded: what each rollout of the batch decoded from the first of the latents.
    """
    with torch.enable_grad():
        z = old.values.detach().requires_grad_()
        predicted = logits(z)
        losses = [
            reinforce.loss(reinforce.log_probability(predicted[: len(tokens)], tokens), adv)
            for tokens, adv in zip(decoded, advs, strict=True)
        ]
        loss = torch.stack(losses).mean()
        if s.entropy_bonus:
            loss = loss - s.entropy_bonus * reinforce.entropy(predicted).sum()
        (gradient,) = torch.autograd.grad(loss, z)
    new = lat.adam_step(old, gradient, s.lr, s.lr_unit)
    if s.trust:
        new = lat.confine(new, s.trust)
    return new, gradient.norm().item(), (new.values - old.values).norm().item()


def _latents(
    model: Janus, state: State, batch: Sequence[Sample], moves: tuple[bool, bool], s: SearchSettings
) -> tuple[Latents | None, Latents | None, dict[str, tuple[float, float]]]:
    """Text and image latents of the next step, and of each group that moved the norms of its gradient and update.

    Groups are sized for their ratio first; a group moves where `moves` says so and the batch is full.
    """
    advs = reinforce.advantages([sample.value for sample in batch], s.baseline, list(state.values))
    ready = len(batch) >= s.batch
    text = image = None
    norms: dict[str, tuple[float, float]] = {}
    if s.strategy != "image" and s.text_update == "coordinate":
        text = state.text_latents
        if moves[0]:
            text, *norms["text"] = coordinate.move_one(model, state, s)
    elif s.strategy != "image":
        unsure = partial(_entropy, model.text_head, state.rollout_text)
        text = lat.resize(state.text_latents, state.rollout_text, s.text_ratio, s.text_positions, s.seed, unsure)
        if moves[0] and ready:
            decoded = [_text_decoded(sample, text, model.device) for sample in batch]
            text, *norms["text"] = _update(text, model.text_head, decoded, advs, s)
    if s.strategy != "text":
        logits = partial(_image_logits, model, s)
        unsure = partial(_entropy, logits, state.rollout_image)
        image = lat.resize(state.image_latents, state.rollout_image, s.image_ratio, s.positions, s.seed, unsure)
        if moves[1] and ready:
            decoded = [_image_decoded(model, sample, image, s) for sample in batch]
            image, *norms["image"] = _update(image, logits, decoded, advs, s)
    return text, image, norms


def advance(
    model: Janus,
    critic: Critic,
    state: State,
    settings: SearchSettings,
    poll: Poll = keep_going,
    workspace: Workspace | None = None,
    observers: Sequence[Critic] = (),
) -> State:
    """Step k = index + 1: move the latents against what the last step scored, decode, score. State is not changed.

    Where a latent group's ratio differs from the one it was sized for, it grows or shrinks first. With a `batch` of n,
    the latents move at every n-th step, against what n steps scored.

    Raises:
        CriticError: the new image could not be judged; `state` is as good as before.
    """
    workspace = workspace or Workspace(model)
    s = settings.resolve(model.recommended)
    before = state
    state = _restarted(state, s).to(model.device)
    k = state.index + 1
    generator = torch.Generator()
    generator.set_state(state.random)
    if s.noise == "shared":
        generator.manual_seed(s.seed)
    elif s.seed != state.settings.seed:  # a fork under another seed
        generator.manual_seed(s.seed + k)
    rollout = Rollout(model, critic, state.prompt, s, generator, poll, workspace, observers)

    # 1. Latents: z^k = z^(k-1) + update, from the tokens that z^(k-1) was decoded to.
    batch = (*state.pending, state.sample)
    ready = len(batch) >= s.batch
    moves = moved(s.strategy, (k - 1) // s.batch + 1, s.steps // s.batch)
    text, image, norms = _latents(model, state, batch, moves, s)
    moves_text, tried = moves[0], state.tried
    if moves_text and s.text_update == "coordinate":
        tried = (*tried, int(text.positions[-1]))
    rollout.clock.lap("update_seconds")

    # 2. Text: optimised tokens from their latents, the rest by the model. What has not changed is not decoded again.
    tokens, latents, paid = torch.tensor(state.text_tokens, device=model.device), state.rollout_text, 0
    if moves_text:
        given = _text_given(model, tokens, text, s, generator)
        uniform = None
        if s.text_rest == "sample":
            uniform = torch.rand(model.max_text_tokens, generator=generator).to(model.device)
        if uniform is not None or not torch.equal(given, tokens[: len(given)]):
            tokens, latents = workspace.text(state.prompt, given, poll, uniform)
            paid = len(tokens)

    # 3. Image: optimised positions are sampled from their latents, the rest by the model; then the score.
    if image is not None:
        at = image.positions.to(model.device)
        with torch.no_grad():
            logits = model.image_head(image.values, s.guidance)
        rollout.forced[0, at] = pick(logits, rollout.uniform[0, at], s.temperature)
    after = rollout.finish(
        k,
        tokens,
        latents,
        paid,
        state,
        text_latents=text,
        image_latents=image,
        gradient_norm={name: gradient for name, (gradient, _) in norms.items()},
        update_norm={name: update for name, (_, update) in norms.items()},
        pending=() if ready else batch,
        tried=tried,
    )
    if after.best == k:
        return replace(after, tried=() if moves_text else tried)
    if s.patience:
        after = replace(after, anchor=before if before.best == before.index else before.anchor)
    return after


def _restarted(state: State, s: SearchSettings) -> State:
    """The state to go on from: this one, or, every so many steps without a better score, the best so far."""
    if not s.patience or state.anchor is None or (state.index - state.best) % s.patience:
        return state
    kept = {name: getattr(state, name) for name in ("index", "values", "random", "spent", "tried")}
    return replace(state.anchor, anchor=state.anchor, **kept)


def _entropy(logits: Callable[[Tensor], Tensor], rollout: Tensor) -> Tensor:
    with torch.no_grad():
        return reinforce.entropy(logits(rollout))


def _image_logits(model: Janus, s: SearchSettings, z: Tensor) -> Tensor:
    return model.image_head(z, s.guidance) / (s.temperature or 1.0)


def _text_decoded(sample: Sample, text: Latents, device: torch.device) -> Tensor:
    """The tokens that the first of the text latents were decoded to; a text may end before all of them are."""
    tokens = sample.text_tokens
    reached = [tokens[p] for p in text.positions.tolist() if p < len(tokens)]
    return torch.tensor(reached, dtype=torch.long, device=device)


def _image_decoded(model: Janus, sample: Sample, image: Latents, s: SearchSettings) -> Tensor:
    """The tokens that the image latents were decoded to, or, as the authors' code has it, the most likely ones."""
    if s.log_probability == "argmax":
        with torch.no_grad():
            return _image_logits(model, s, image.values).argmax(-1)
    return torch.tensor(sample.image_tokens, device=model.device)[image.positions.to(model.device)]


def _text_given(
    model: Janus, tokens: Tensor, text: Latents, settings: SearchSettings, generator: torch.Generator
) -> Tensor:
    """The text up to the last optimised position: there, what the latents decode to; between, `tokens` as they are.

    Cut after the first end token, and where `tokens` have nothing between two positions.
    """
    with torch.no_grad():
        logits = model.text_head(text.values)
    if settings.text_sampling == "argmax":
        chosen = logits.argmax(-1)
    else:
        chosen = pick(logits, torch.rand(len(text), generator=generator).to(model.device), 1.0)
    given: list[int] = []
    for position, token in zip(text.positions.tolist(), chosen.tolist(), strict=True):
        given += tokens[len(given) : position].tolist()
        if len(given) < position or model.end_token in given:
            break
        given.append(token)
        if token == model.end_token:
            break
    return torch.tensor(given, dtype=torch.long, device=model.device)


def reason(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    control: SearchControl | None = None,
    state: State | None = None,
    observers: Sequence[Critic] = (),
) -> Iterator[Step]:
    """Search; yields step 0, then every REINFORCE step, until the score passes tau or K steps are done.

    settings: default to those `state` was made with, or to all that the model recommends. control: pause, stop and
    change the search from another thread. state: go on from there instead of starting; its own step is not yielded
    again. observers: critics that score every step into `Step.observed` and that the search never listens to: held-out
    judges make reward hacking visible.

    Raises:
        InputError: at the call, for bad input. CriticError: while iterating; the steps yielded so far are valid.
    """
    settings = settings or (state.settings if state else recommended_settings(model.recommended))
    settings = settings.resolve(model.recommended)
    prompt = model.check_prompt(state.prompt if state else prompt)
    check_judges(critic, observers, prompt)
    return _steps(model, critic, prompt, settings, control or SearchControl(), state, observers)


def _steps(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings,
    control: SearchControl,
    state: State | None,
    observers: Sequence[Critic],
) -> Iterator[Step]:
    workspace = Workspace(model)
    try:
        critic, observers = ready(critic, observers, control.poll, state.spent if state else NOTHING)
        if state is None:
            state = start(model, critic, prompt, control.in_force(settings), control.poll, workspace, observers)
            yield state.step
        while not state.finished(now := control.in_force(settings)):
            control.poll()
            state = advance(model, critic, state, now, control.poll, workspace, observers)
            yield state.step
    except Stopped:
        return
