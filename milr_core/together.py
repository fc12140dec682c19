"""Several searches at once, decoded in one batch: other prompts, other seeds, other settings.

Each search is the plain one, in a thread of its own, on a workspace that all of them share. Where a search wants a
text or an image it waits; when all wait, what they want is decoded together. What is decoded with what depends on the
searches alone, not on timing, so that the same call gives the same steps.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from milr_core.control import SearchControl
from milr_core.critics.base import NOTHING, Critic
from milr_core.errors import InputError, Stopped
from milr_core.janus import Janus, Workspace
from milr_core.janus.decode import Poll, decode_images, decode_texts
from milr_core.rollout import check_judges
from milr_core.search import reason
from milr_core.settings import SearchSettings
from milr_core.state import Step

Searching = Callable[[Workspace, SearchControl, threading.Lock], Iterator[Any]]
"""A search that decodes on the workspace it is given, polls the control it is given, and holds the lock while a critic
judges or loads: critics need not be safe to call from several threads (see `taking_turns`)."""


def reason_together(
    model: Janus,
    critic: Critic,
    prompts: Sequence[str],
    settings: Sequence[SearchSettings],
    control: SearchControl | None = None,
    observers: Sequence[Critic] = (),
) -> Iterator[tuple[int, Step]]:
    """Search for every prompt with its own settings; yields (index of the search, step) as steps are made.

    Steps are those of `reason`, but for rounding: rows of a batch are summed in another order. Critics are called from
    one search at a time.

    Raises:
        InputError: at the call, for bad input or a batch that does not fit in memory. CriticError: while
            iterating; all searches end with it, the steps yielded so far are valid.
    """
    if not prompts or len(prompts) != len(settings):
        raise InputError(f"Give one prompt or more, each with its settings; got {len(prompts)} and {len(settings)}.")
    resolved = [s.resolve(model.recommended) for s in settings]
    asked = [model.check_prompt(prompt) for prompt in prompts]
    for prompt in asked:
        check_judges(critic, observers, prompt)

    def searching(prompt: str, s: SearchSettings) -> Searching:
        def search(workspace: Workspace, control: SearchControl, turn: threading.Lock) -> Iterator[Step]:
            guide, *watching = taking_turns([critic, *observers], turn)
            return reason(model, guide, prompt, s, control, observers=watching, workspace=workspace)

        return search

    return together(model, [searching(*each) for each in zip(asked, resolved, strict=True)], control)


def together(
    model: Janus, searches: Sequence[Searching], control: SearchControl | None = None
) -> Iterator[tuple[int, Any]]:
    """What each of the searches yields, as (index of the search, what); all decode in one batch.

    control: pauses and stops all of them, and its changed settings are in force in each.

    Raises:
        InputError: at the call, where the batch does not fit in memory. What a search raises ends all of them; what
            had been yielded by then is valid.
    """
    control = control or SearchControl()
    return _steps(searches, control, _Batch(model, len(searches), control.poll))


def taking_turns(critics: Sequence[Critic], turn: threading.Lock) -> list[Critic]:
    """The critics, one of which judges at a time."""
    return [_OneAtATime(critic, turn) for critic in critics]


def _steps(searches: Sequence[Searching], control: SearchControl, batch: "_Batch") -> Iterator[tuple[int, Any]]:
    made: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()

    def search(index: int) -> None:
        failure: BaseException | None = None
        try:
            try:
                for step in searches[index](_Seat(batch, index), _Follower(control, batch.check), batch.turn):
                    made.put((index, step, None))
            finally:
                batch.leave(index)  # may decode for those that wait, and fail at it
        except Stopped:  # by the caller, or because another search failed and said so
            pass
        except BaseException as error:  # raised again where the steps are taken
            failure = error
        made.put((index, _DONE, failure))

    threads = [threading.Thread(target=search, args=(i,), daemon=True) for i in range(len(searches))]
    for thread in threads:
        thread.start()
    left, failure = len(threads), None
    try:
        while left:
            index, step, error = made.get()
            if step is not _DONE:  # also after a failure: what had been scored by then is not lost
                yield index, step
                continue
            left -= 1
            if error is not None:
                failure = failure or error
                batch.close()
        if failure:
            raise failure
    finally:
        batch.close()
        for thread in threads:
            thread.join()


_DONE = object()


class _Follower(SearchControl):
    """One search's control: settings as the common one has them. Pausing holds the decoding, which all wait for."""

    def __init__(self, control: SearchControl, check: Poll):
        super().__init__()
        self.in_force, self.poll = control.in_force, check


class _OneAtATime(Critic):
    """A critic whose searches take turns."""

    def __init__(self, critic: Critic, turn: threading.Lock):
        self.critic, self.turn, self.name = critic, turn, critic.name

    def for_run(self, poll, spent=NOTHING):
        return _OneAtATime(self.critic.for_run(poll, spent), self.turn)

    def check_prompt(self, prompt):
        self.critic.check_prompt(prompt)

    def load(self):
        with self.turn:
            self.critic.load()

    def score(self, images, prompt):
        with self.turn:
            return self.critic.score(images, prompt)


@dataclass
class _Wanted:
    """What a search waits for. Requests of one `kind` can be decoded together."""

    kind: tuple
    arguments: tuple
    result: Any = None


class _Seat(Workspace):
    """One search's view of the batch: decodes by asking and waiting."""

    def __init__(self, batch: "_Batch", index: int):
        super().__init__(batch.model)
        self.batch, self.index = batch, index

    def text(
        self, prompt: str, given: Tensor, poll: Poll, uniform: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        kind = ("text", uniform is not None, temperature)
        return self.batch.ask(self.index, _Wanted(kind, (prompt, given, uniform)))

    def images(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        kind = ("image", len(forced), settings.temperature)
        return self.batch.ask(self.index, _Wanted(kind, (prompt, text, uniform, forced, settings.guidance)))


class _Batch:
    def __init__(self, model: Janus, searches: int, poll: Poll):
        self.model, self.poll = model, poll
        self.turn = threading.Lock()
        self._workspace = Workspace(model)
        capacity = min(model.stack.max_positions, 64 + model.max_text_tokens + model.num_image_tokens)
        self._workspace.cache("image", 2 * searches, capacity)  # the largest there will be: fails here, not later
        self._condition = threading.Condition()
        self._running = set(range(searches))
        self._wanted: dict[int, _Wanted] = {}
        self._closed = False

    def check(self) -> None:
        """The poll of each search: only whether it has to end; pausing holds the decoding for all of them."""
        if self._closed:
            raise Stopped

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def leave(self, index: int) -> None:
        """A search is done: those that wait need not wait for it."""
        with self._condition:
            self._running.discard(index)
            self._serve()

    def ask(self, index: int, wanted: _Wanted) -> Any:
        """Wait until it has been decoded, by this thread if it is the last to ask."""
        with self._condition:
            self._wanted[index] = wanted
            self._serve()
            self._condition.wait_for(lambda: wanted.result is not None or self._closed)
            if wanted.result is None:
                raise Stopped
            return wanted.result

    def _serve(self) -> None:
        """When every search waits, decode what one kind of them wants: texts first, so that images come together."""
        if self._closed or not self._running or set(self._wanted) != self._running:
            return
        kind = max((w.kind for w in self._wanted.values()), key=lambda kind: (kind[0] == "text", str(kind)))
        chosen = {i: self._wanted[i] for i in sorted(self._wanted) if self._wanted[i].kind == kind}
        try:
            decode = self._texts if kind[0] == "text" else self._images
            results = decode([w.arguments for w in chosen.values()], kind)
        except BaseException:
            self._closed = True
            self._condition.notify_all()
            raise
        for (index, wanted), result in zip(chosen.items(), results, strict=True):
            wanted.result = result
            del self._wanted[index]
        self._condition.notify_all()

    def _texts(self, wanted: list[tuple], kind: tuple) -> list[tuple[Tensor, Tensor]]:
        model, (_, sampled, temperature) = self.model, kind
        ids = [model.reasoning_ids(prompt).unsqueeze(0) for prompt, _, _ in wanted]
        cache, first = self._filled("text", ids, model.max_text_tokens)
        return decode_texts(
            model.stack, model.embed, model.text_head, cache, first, model.end_token,
            model.max_text_tokens,
            [given for _, given, _ in wanted], self.poll,
            torch.stack([uniform for _, _, uniform in wanted]) if sampled else None, temperature,
        )  # fmt: skip

    def _images(self, wanted: list[tuple], kind: tuple) -> list[tuple[Tensor, Tensor]]:
        model, (_, count, temperature) = self.model, kind
        ids = [model.image_ids(prompt, text).repeat(count, 1) for prompt, text, *_ in wanted]
        cache, first = self._filled("image", ids, model.num_image_tokens)
        guidance = torch.tensor([w[4] for w in wanted for _ in range(count)], device=model.device)[:, None]
        tokens, latents = decode_images(
            model.stack, model.image_embeddings, lambda z: model.image_head(z, guidance), cache,
            first.unflatten(0, (-1, 2)), torch.cat([w[2] for w in wanted]), torch.cat([w[3] for w in wanted]),
            temperature, self.poll,
        )  # fmt: skip
        return list(zip(tokens.split(count), latents.split(count), strict=True))

    @torch.no_grad()
    def _filled(self, kind: str, ids: list[Tensor], extra: int) -> tuple[Any, Tensor]:
        """A cache with prompts of different lengths, (b, T) each, and the (B, D) outputs at their ends."""
        model, width = self.model, max(rows.shape[1] for rows in ids)
        padded = torch.cat([torch.nn.functional.pad(rows, (0, width - rows.shape[1])) for rows in ids])
        cache = self._workspace.cache(kind, len(padded), width + extra)
        cache.lengths = [0] * len(padded)
        hidden = model.stack.forward(model.embed(padded), cache)
        cache.lengths = [rows.shape[1] for rows in ids for _ in rows]
        return cache, torch.stack([hidden[row, length - 1] for row, length in enumerate(cache.lengths)])
