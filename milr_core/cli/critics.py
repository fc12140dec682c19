"""`critics`: what there is, what each needs, and whether it is here."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from milr_core.cli.output import json_line
from milr_core.critics import CRITICS, critic_class


def add(commands: Any) -> None:
    command = commands.add_parser("critics", help="list the critics, what they need and whether it is present")
    command.add_argument("name", nargs="?", help="one critic, with its options")
    command.add_argument("--json", action="store_true", help="one JSON object a line and a critic")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    for name in [args.name] if args.name else CRITICS:
        about, what = critic_class(name).about, CRITICS[name]
        weights = [asdict(w) | {"present": w.present} for w in about.weights]
        for one in weights:
            del one["files"]
        if args.json:
            record = {
                "name": name,
                "what": what,
                "present": about.present,
                "needs": about.needs,
                "weights": weights,
                "gigabytes": round(about.gigabytes, 3),
                "licence": about.licence,
                "options": about.options,
            }
            sys.stdout.write(json_line(record, sys.stdout))
            continue
        sys.stdout.write(f"{name:10} {'present' if about.present else 'absent ':8} {what}\n")
        if about.needs:
            sys.stdout.write(f"{'':20}needs {about.needs}\n")
        for one in weights:
            here = "present" if one["present"] else f"absent: hf download {one['id']}"
            sys.stdout.write(f"{'':20}{one['role']}: {one['id']} ({one['gigabytes']:g} GB, {one['licence']}), {here}\n")
        for option, meaning in about.options.items() if args.name else ():
            sys.stdout.write(f"{'':20}--option {option}=…  {meaning}\n")
    return 0
