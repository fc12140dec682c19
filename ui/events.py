"""How the page's events are sent: keyword arguments of gradio's listeners."""

from typing import Any

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

WATCHES: dict[str, Any] = _QUIET | {"concurrency_limit": None, "trigger_mode": "multiple"}
"""What shows a search while others compute it: a page each, which waits for nobody."""

ASKS: dict[str, Any] = _QUIET | {"concurrency_limit": None, "preprocess": False}
"""A press that may hand out a ticket. The browser sees a State's change only in answers that came through the queue."""

ONE_AT_A_TIME: dict[str, Any] = _QUIET | {"concurrency_limit": 1}
"""What takes memory: the opening of a file."""

AT_ONCE: dict[str, Any] = _QUIET | {"queue": False}
"""What computes nothing."""

TYPED: dict[str, Any] = AT_ONCE | {"preprocess": False}
"""Of fields that someone may be typing in. The handlers say what is wrong with a value: gradio would answer that the
first digit of 0.25 is out of range with an error on every panel that waits for the answer."""

LATEST: dict[str, Any] = {"trigger_mode": "always_last"}
"""Of events that come faster than they are answered: only the last one counts."""

Answer = dict[Any, Any]
"""What a handler answers: a value or an update for each component that changes."""
