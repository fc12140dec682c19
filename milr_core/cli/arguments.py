"""What the commands have in common: errors as bad input, and the options of critics."""

import argparse

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
        help="an option of the critic, as `python -m milr_core critics` lists them; CRITIC.NAME=VALUE for one of a "
        "mixture; may be given more than once. "
        "Keys belong into the environment (OPENAI_API_KEY), not here",
    )
