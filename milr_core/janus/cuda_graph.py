"""The token step of a `LanguageStack` as a CUDA graph, captured once and replayed: no launch is waited for."""

import torch
from torch import Tensor

from milr_core.janus.transformer import Cache, EagerRuntime, LanguageStack

WINDOW = 128  # positions: attention looks at whole windows, one captured graph for each


class CudaRuntime(EagerRuntime):
    """Token steps through captured graphs, one for each window of positions; longer pieces operation by operation."""

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        if x.shape[1] != 1:
            return super().forward(x, cache)
        window = min(-(-(max(cache.lengths) + 1) // WINDOW) * WINDOW, cache.capacity)
        if window not in cache.bound:
            cache.bound[window] = TokenStep(self.stack, cache, window)
        return cache.bound[window](x, cache.lengths)


class TokenStep:
    """One token for every row of a cache, from static inputs: on CUDA captured at construction, then replayed."""

    def __init__(self, stack: LanguageStack, cache: Cache, window: int):
        rows = len(cache.lengths)
        self.x = torch.zeros(rows, 1, stack.final_norm.numel(), dtype=stack.dtype, device=stack.device)
        # Warming up writes where the next token will: beyond every row's length, at nothing that is read.
        self.at = torch.tensor(cache.lengths, device=stack.device)[:, None]
        self._step = lambda: stack.eager(self.x, cache, self.at, window)
        self._graph = None
        if stack.device.type == "cuda":
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    self._step()
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._hidden = self._step()

    def __call__(self, x: Tensor, lengths: list[int]) -> Tensor:
        self.x.copy_(x)
        if len(set(lengths)) == 1:
            self.at.fill_(lengths[0])  # nothing to copy from the host
        else:
            self.at.copy_(torch.tensor(lengths)[:, None])
        if self._graph is None:
            return self._step()
        self._graph.replay()
        return self._hidden.clone()
