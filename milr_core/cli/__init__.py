"""python -m milr_core reason | critics | score | convert | export: the library from a shell."""

import logging
import sys
import time

from transformers.utils import logging as transformers_logging

from milr_core.cli import convert, critics, export, reason, score
from milr_core.cli.arguments import Parser
from milr_core.cli.output import discard_output, say, words_of, write_any_character
from milr_core.errors import CriticError, InputError

BAD_INPUT, FAILED, CLOSED = 2, 1, 141  # as a shell reports a process that a closed pipe ended


def parser() -> Parser:
    top = Parser(prog="python -m milr_core", description="Test-time latent reasoning for text-to-image generation.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in (reason, critics, score, convert, export):
        command.add(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a critic or the disk failed (steps so far are kept), 2 bad input, 130 interrupted, 141 when
    nobody reads the output any more.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    write_any_character()
    started = time.monotonic()
    keeps = False
    try:
        args = parser().parse_args(argv)
        keeps = args.command == "reason" and bool(args.out or args.resume)
        code = args.run(args)
        sys.stdout.flush()
        return code
    except InputError as error:
        say(str(error))
        return BAD_INPUT
    except BrokenPipeError:
        discard_output()
        return CLOSED
    except (CriticError, OSError) as error:
        try:
            sys.stdout.flush()
        except OSError:  # standard output is where it happened
            discard_output()
        kept = f" The steps so far are kept ({time.monotonic() - started:.0f} s)." if keeps else ""
        say(f"{words_of(error)}{kept}")
        return FAILED
