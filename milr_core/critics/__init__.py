"""Critics by name: what judges an image against its prompt."""

from milr_core.critics.base import About, Box, Critic, Score, Usage, Weights
from milr_core.critics.expression import (
    CRITICS,
    critic_class,
    critic_names,
    is_remote,
    load_critic,
    made_of,
    options_for,
    parse,
    read_options,
)
from milr_core.critics.mixture import Mixture

__all__ = [
    "CRITICS",
    "About",
    "Box",
    "Critic",
    "Mixture",
    "Score",
    "Usage",
    "Weights",
    "critic_class",
    "critic_names",
    "is_remote",
    "load_critic",
    "made_of",
    "options_for",
    "parse",
    "read_options",
]
