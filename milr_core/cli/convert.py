"""`convert`: a checkpoint in DeepSeek's format, written in transformers'."""

import argparse
import sys
from pathlib import Path
from typing import Any

from milr_core.cli.output import loading_bar
from milr_core.janus.conversion import convert


def add(commands: Any) -> None:
    command = commands.add_parser("convert", help="write a checkpoint of DeepSeek's format in transformers'")
    command.add_argument("source", type=Path, help="its folder: config.json, tokenizer, weights")
    command.add_argument("target", type=Path, help="a folder that does not exist")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with loading_bar() as progress:
        convert(args.source, args.target, progress)
    sys.stdout.write(f"{args.target}\n")
    return 0
