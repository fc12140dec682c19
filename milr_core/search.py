"""MILR (arXiv 2509.22761), Algorithms 1 and 2. All else in this package serves this file.

A model reasons about a prompt c in text tokens t, then draws image tokens v from both (equation 1); a critic scores
the pixels, R. Sought are not the tokens of the best expected R (equation 2) but the latents z that they are decoded
from (equation 3): last-layer outputs, (M, D) of the text and (N, 2, D) of the image, whose two rows are those of
classifier-free guidance. No weight changes.

    t, v ~ p(t, v | c); draw V from v; R = critic(V, c)            step 0, `start`
    z = the outputs that a prefix of t and of v came from          `Paper.latents`: section 3.2.2
    while k <= K and R <= tau:                                     `reason`; the test is `State.finished`
        z = z + Adam of (R - b) * gradient of log p(t, v | z)      `reinforce`: equations 5 and 6; which z: `moving`
        t, v ~ p(t, v | z, c); draw V from v; R = critic(V, c)     `advance`: equation 4

Text is decoded greedily, as in the authors' code; the paper samples. All such differences are in docs/method.md.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from milr_core import latents as lat
from milr_core.control import SearchControl, drive
from milr_core.coordinate import Coordinate
from milr_core.critics.base import Critic
from milr_core.janus import Janus
from milr_core.janus.decode import FREE, Poll, keep_going, pick
from milr_core.janus.finite import check_finite
from milr_core.janus.workspace import Workspace
from milr_core.latents import Latents
from milr_core.rollout import Jury, Rollout, check_judges
from milr_core.settings import SearchSettings, recommended_settings
from milr_core.state import PLAIN, SEARCH, State, Step
from milr_core.strategy import Proposal, Strategy

Head = Callable[[Tensor], Tensor]
Norms = tuple[float, float]


def moving(strategy: str, k: int, steps: int) -> set[str]:
    """Which latents step k of K moves: Algorithm 2; `text` and `image` alone are section 4.2's."""
    if strategy == "alt":
        return {"text"} if k % 2 else {"image"}
    if strategy == "t2v":
        return {"text"} if k <= steps // 2 else {"image"}
    return {"text", "image"} if strategy == "joint" else {strategy}


def baseline(s: SearchSettings, values: Sequence[float]) -> float:
    """b, which equation 6 leaves at 0; values: the scores so far.

    The text is decoded greedily: were R - b never negative, its tokens would only be made surer, and none would change.
    The authors' rewards lie in [-1, 0], which is b = 1 on ours, and our default: every step moves away from what was
    drawn, the further the worse it was.
    """
    return {"one": 1.0, "zero": 0.0, "running": sum(values) / len(values)}[s.baseline]


def reinforce(z: Latents, head: Head, tokens: Tensor, advantage: float, lr: float) -> tuple[Latents, Norms]:
    """One step of equations 5 and 6, from a single rollout: Adam (section 4.1) on  -(R - b) * sum log p(token | z).

    tokens: (n,), decoded from the first n of the latents; those after them have no gradient, only Adam's momentum.
    Returns z', and the norms of its gradient and its update.
    """
    with torch.enable_grad():
        values = z.values.detach().requires_grad_()
        log_p = lat.log_probability(head(values[: len(tokens)]), tokens)
        (gradient,) = torch.autograd.grad(-advantage * log_p, values)
    new = lat.adam_step(z, gradient, lr)
    return new, (gradient.norm().item(), (new.values - z.values).norm().item())


class Paper(Strategy):
    """Proposes, from the newest rollout, an update of every latent that moves in this step."""

    method = SEARCH

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        moves = moving(s.strategy, state.index + 1, s.steps)
        latents, norms = {}, {}
        for kind in (s.strategy,) if s.strategy in ("text", "image") else ("text", "image"):
            latents[kind], moved = self.latents(kind, kind in moves, model, state, s)
            norms |= {kind: moved} if moved else {}
        return Proposal(state, latents, "text" in moves, norms=norms)

    def latents(
        self, kind: str, moves: bool, model: Janus, state: State, s: SearchSettings
    ) -> tuple[Latents, Norms | None]:
        """z^k of a kind, and the norms of its move, if it moves. Only a prefix is optimised (section 3.2.2).

        z^0 is what the first rollout was decoded from; from then on latents move by their updates alone.
        """
        ratio, rule = (s.text_ratio, s.text_positions) if kind == "text" else (s.image_ratio, s.positions)
        z = lat.resize(state.latents.get(kind), state.drawn.hidden(kind), ratio, rule, s.seed)
        if not moves:
            return z, None
        head = model.text_head if kind == "text" else lambda v: model.image_head(v, s.guidance) / (s.temperature or 1.0)
        tokens = state.drawn.tokens_at(kind, z.positions)
        if kind == "image" and s.log_probability == "argmax":  # as the authors' code; the paper takes what was sampled
            with torch.no_grad():
                tokens = head(z.values).argmax(-1)
        return reinforce(z, head, tokens, state.reward - baseline(s, state.values), s.lr)


PAPER = Paper()
_BESIDE = moving, partial(PAPER.latents, "image")
STRATEGIES: dict[str, Strategy] = {
    "adam": PAPER,
    "coordinate": Coordinate(*_BESIDE),
    "mixture": Coordinate(*_BESIDE, anew=True),
}
"""By the setting `text_update`."""


def start(
    model: Janus, critic: Critic, prompt: str, settings: SearchSettings, poll: Poll = keep_going,
    workspace: Workspace | None = None, observers: Sequence[Critic] = (), method: str = SEARCH,
) -> State:  # fmt: skip
    """Step 0: reason greedily (unless the method is PLAIN), draw, score; what text-enhanced reasoning gives.

    observers: critics that score the image as well, and that nothing depends on.

    Raises:
        InputError: a prompt that the model or the critic cannot take, or numbers of the model that are none.
        CriticError: the image could not be judged.
    """
    s, prompt = settings.resolve(model.recommended), model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    rollout = Rollout(model, critic, observers, poll, workspace)
    rng = torch.Generator().manual_seed(s.seed)
    uniform = torch.rand(1, model.num_image_tokens, generator=rng).to(model.device)
    nothing = torch.empty(0, dtype=torch.long, device=model.device)
    no_text = nothing, torch.empty(0, model.image_embeddings.shape[-1], device=model.device)
    text = no_text if method == PLAIN else rollout.text(prompt, nothing)
    drawn = rollout.draw(prompt, text, uniform, torch.full_like(uniform, FREE, dtype=torch.long), s)
    return State(prompt, 0, s, drawn, (drawn.score.value,), rng.get_state(), spent=drawn.cost.usage, method=method)


def advance(
    model: Janus, critic: Critic, state: State, settings: SearchSettings, poll: Poll = keep_going,
    workspace: Workspace | None = None, observers: Sequence[Critic] = (), strategy: Strategy | None = None,
) -> State:  # fmt: skip
    """Step k: move the latents against what step k - 1 scored, decode, draw, score. `state` is not changed.

    strategy: default the one that the settings name.

    Raises:
        CriticError, InputError: as `start`; `state` is as good as before.
    """
    s, before = settings.resolve(model.recommended), state.to(model.device)
    strategy, rollout = strategy or STRATEGIES[s.text_update], Rollout(model, critic, observers, poll, workspace)
    rng = torch.Generator()
    rng.set_state(state.random)
    if s.seed != state.settings.seed:  # a fork under another seed
        rng.manual_seed(s.seed + state.index + 1)
    uniform = torch.rand(1, model.num_image_tokens, generator=rng).to(model.device)

    # 1. Latents: z^k = z^(k-1) + update (equations 5 and 6).
    p = strategy.propose(model, before, s)
    for kind, z in p.latents.items():
        check_finite(z.values, f"{kind} latents of step {state.index + 1}", model.dtype)
    rollout.clock.lap("update_seconds")

    # 2. Text t: its prefix is what is likeliest at z, the model writes the rest. What has not changed is not decoded.
    old = p.state.drawn
    tokens, hidden = torch.tensor(old.text_tokens, device=model.device), old.text_hidden
    if p.new_text:
        given = tokens[:0]
        if (z := p.latents.get("text")) is not None:
            with torch.no_grad():
                given = lat.splice(tokens, z.positions, model.text_head(z.values).argmax(-1), model.end_token)
        if p.temperature:  # no strategy of the paper's
            tokens, hidden = rollout.sampled_text(state.prompt, given, p.temperature, p.seen, rng)
        elif not torch.equal(given, tokens[: len(given)]):
            tokens, hidden = rollout.text(state.prompt, given)

    # 3. Image v: its prefix is sampled from z, the model draws the rest from prompt and text; then the pixels, and R.
    forced = torch.full_like(uniform, FREE, dtype=torch.long)
    if (z := p.latents.get("image")) is not None:
        at = z.positions.to(model.device)
        with torch.no_grad():
            forced[0, at] = pick(model.image_head(z.values, s.guidance), uniform[0, at], s.temperature)
    drawn = rollout.draw(state.prompt, (tokens, hidden), uniform, forced, s)
    return State(
        state.prompt, state.index + 1, s, drawn, (*state.values, drawn.score.value), rng.get_state(), p.latents,
        state.spent + drawn.cost.usage, p.norms, strategy.method, p.memory, p.kept,
    )  # fmt: skip


def step(
    model: Janus, jury: Jury, prompt: str, settings: SearchSettings, control: SearchControl, workspace: Workspace,
    strategy: Strategy | None, state: State | None,
) -> State | None:  # fmt: skip
    """One turn of Algorithm 1: the state after `state`, or step 0; None after the last. Live settings act from here."""
    s, poll = control.in_force(settings), control.poll
    strategy = strategy or STRATEGIES[s.text_update]
    critic, observers = jury.ready(poll, state)
    if state is None:
        return start(model, critic, prompt, s, poll, workspace, observers, strategy.method)
    if strategy.finished(state, s):
        return None
    poll()
    return advance(model, critic, state, s, poll, workspace, observers, strategy)


def reason(
    model: Janus, critic: Critic, prompt: str, settings: SearchSettings | None = None,
    control: SearchControl | None = None, state: State | None = None, observers: Sequence[Critic] = (),
    strategy: Strategy | None = None, workspace: Workspace | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Search; yields step 0, then every REINFORCE step, until the score passes tau or K steps are done (Algorithm 1).

    settings: default to those `state` was made with, or to all that the model recommends. control: pause, stop and
    change the search from another thread. state: go on from there instead of starting; its own step is not yielded
    again. observers: critics that score every step into `Step.observed` and that the search never listens to: held-out
    judges make reward hacking visible. strategy: instead of the one that the settings name.

    Raises:
        InputError: at the call, for bad input; while iterating, where the model gives NaN. CriticError: while
        iterating. The steps yielded so far are valid.
    """
    settings = settings or (state.settings if state else recommended_settings(model.recommended))
    settings, prompt = settings.resolve(model.recommended), model.check_prompt(state.prompt if state else prompt)
    jury, control = Jury(critic, observers, prompt), control or SearchControl()
    return drive(partial(step, model, jury, prompt, settings, control, workspace or Workspace(model), strategy), state)
