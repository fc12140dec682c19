"""What the commands have in common: errors as bad input, and the options of critics."""

import argparse
import json
from typing import Any

from milr_core.errors import InputError


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def add_critic_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the critic, as `python -m milr_core critics` lists them; may be given more than once. "
        "Keys belong into the environment (OPENAI_API_KEY), not here",
    )


def critic_options(said: list[str]) -> dict[str, Any]:
    """NAME=VALUE each; a value that is JSON is read as such, `None` is nothing, anything else is text."""
    options = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InputError(f"An option is written NAME=VALUE; got '{name}'.")
        try:
            options[name] = None if value == "None" else json.loads(value)
        except ValueError:
            options[name] = value
    return options
