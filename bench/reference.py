"""How the authors' code decodes, written anew on the transformers model: what the fast loop is measured against.

Text without a cache, the whole sequence again for every token, and anew at every step, changed or not. Images token by
token through the transformers stack with its growing cache, two rows for guidance, each token fetched to the host. The
tokens are those of the fast loop.
"""

import time
from dataclasses import replace

import torch
from torch import Tensor
from transformers import DynamicCache

from milr_core.critics.base import Critic
from milr_core.janus.decode import FREE, Poll, keep_going, pick
from milr_core.janus.workspace import Workspace
from milr_core.search import advance
from milr_core.settings import SearchSettings
from milr_core.state import State


class ReferenceWorkspace(Workspace):
    """Decodes for a search as the reference implementation does; give it to `start` and `advance`."""

    @torch.no_grad()
    def text(
        self, prompt: str, given: Tensor, poll: Poll, uniform: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        model = self.model
        ids = model.reasoning_ids(prompt).tolist()
        tokens, latents = [], []
        while len(tokens) < model.max_text_tokens and (not tokens or tokens[-1] != model.end_token):
            poll()
            row = torch.tensor([[*ids, *tokens]], device=model.device)
            hidden = model.hf.model.language_model(input_ids=row, use_cache=False).last_hidden_state[0, -1]
            latents.append(hidden)
            at = len(tokens)
            if at < len(given):
                tokens.append(given[at].item())
            elif uniform is None:
                tokens.append(model.text_head(hidden).argmax().item())
            else:
                tokens.append(pick(model.text_head(hidden)[None], uniform[at : at + 1], temperature).item())
        return torch.tensor(tokens, device=model.device), torch.stack(latents)

    @torch.no_grad()
    def images(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        rows = [self._image(prompt, text, u, f, settings, poll) for u, f in zip(uniform, forced, strict=True)]
        tokens, latents = zip(*rows, strict=True)
        return torch.stack(tokens), torch.stack(latents)

    def _image(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        model, cache = self.model, DynamicCache(config=self.model.hf.config.text_config)
        x = model.embed(model.image_ids(prompt, text))
        tokens, latents = [], []
        for i in range(model.num_image_tokens):
            poll()
            out = model.hf.model.language_model(inputs_embeds=x, past_key_values=cache, use_cache=True)
            hidden = out.last_hidden_state[:, -1]
            latents.append(hidden)
            token = forced[i].item()
            if token == FREE:
                logits = model.image_head(hidden[None], settings.guidance)
                token = pick(logits, uniform[i : i + 1], settings.temperature).item()
            tokens.append(token)
            x = model.hf.prepare_embeddings_for_image_generation(torch.tensor([[token], [token]], device=model.device))
        return torch.tensor(tokens, device=model.device), torch.stack(latents)

    def advance(self, critic: Critic, state: State, settings: SearchSettings) -> State:
        """A step of the search; a text that the search would have kept is decoded again, and its time counted."""
        after = advance(self.model, critic, state, settings, workspace=self)
        cost = after.drawn.cost
        if cost.text_tokens:
            return after
        started = time.perf_counter()
        given = torch.tensor(after.drawn.text_tokens[: len(after.latents["text"])], device=self.model.device)
        self.text(state.prompt, given, keep_going)
        spent = cost.text_seconds + time.perf_counter() - started
        return replace(after, drawn=replace(after.drawn, cost=replace(cost, text_seconds=spent)))
