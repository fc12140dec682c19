"""python -m milr_core reason | critics | score | convert | export: the library from a shell."""

import logging
import sys
import time

from transformers.utils import logging as transformers_logging

from milr_core.cli import convert, critics, export, reason, score
from milr_core.cli.arguments import Parser
from milr_core.errors import CriticError, InputError

BAD_INPUT, FAILED = 2, 1


def parser() -> Parser:
    top = Parser(prog="python -m milr_core", description="Test-time latent reasoning for text-to-image generation.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in (reason, critics, score, convert, export):
        command.add(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a critic failed (steps so far are kept), 2 bad input, 130 interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    started = time.monotonic()
    command = ""
    try:
        args = parser().parse_args(argv)
        command = args.command
        return args.run(args)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except CriticError as error:
        kept = f" The steps so far are kept ({time.monotonic() - started:.0f} s)." if command == "reason" else ""
        sys.stderr.write(f"{error}{kept}\n")
        return FAILED
