"""What a run may spend on a remote judge."""

from dataclasses import dataclass

from milr_core.critics.base import Usage
from milr_core.errors import CriticError


@dataclass
class Budget:
    """What a run may spend, and has. Checked before each request: at least the dearest answer so far has to fit."""

    max_calls: int | None = 200
    max_tokens: int | None = None
    max_dollars: float | None = None
    spent: Usage = Usage()
    dearest: Usage = Usage()  # of one answer

    def left(self, requests: int) -> int:
        """Tries that each of `requests` may take.

        Raises:
            CriticError: the budget does not reach for them.
        """
        tokens = self.spent.input_tokens + self.spent.output_tokens
        expected = self.dearest.input_tokens + self.dearest.output_tokens
        for name, limit, used, next_one in (
            ("requests", self.max_calls, self.spent.calls, 1),
            ("tokens", self.max_tokens, tokens, max(1, expected)),
            ("dollars", self.max_dollars, self.spent.dollars, max(1e-9, self.dearest.dollars)),
        ):
            if limit is not None and used + requests * next_one > limit:
                option = "max_calls" if name == "requests" else f"max_{name}"
                raise CriticError(
                    f"The judge's budget is used up: {used:g} of {limit:g} {name} spent, and {requests} more "
                    f"request{'s' * (requests > 1)} would go beyond. Raise {option}."
                )
        return 1_000_000 if self.max_calls is None else (self.max_calls - self.spent.calls) // requests

    def add(self, usage: Usage) -> None:
        self.spent += usage
        if usage.input_tokens + usage.output_tokens > self.dearest.input_tokens + self.dearest.output_tokens:
            self.dearest = usage
