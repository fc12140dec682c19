"""`score`: what a critic says of an image file."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from milr_core.benchmark_files import read_text
from milr_core.cli.arguments import add_critic_options
from milr_core.cli.output import json_line
from milr_core.critics import CRITICS, critic_class, critic_names, load_critic, options_for, read_options
from milr_core.critics.base import plain_text
from milr_core.critics.pictures import read_picture
from milr_core.errors import InputError
from milr_core.janus import load_model
from milr_core.rollout import judge


def add(commands: Any) -> None:
    command = commands.add_parser("score", help="score an image file")
    command.add_argument("image", type=Path)
    command.add_argument("prompt")
    command.add_argument("--critic", required=True, help=f"{', '.join(CRITICS)}, or a mixture: 0.7*oracle+0.3*self")
    command.add_argument(
        "--spec", metavar="JSON", help="for geneval: its structure of the prompt, or a file that holds it"
    )
    command.add_argument("--model", default="janus-icons", help="for the critic self: the Janus that judges")
    command.add_argument("--device", help="cpu, cuda, …; default: a GPU if there is one")
    command.add_argument("--json", action="store_true", help="one JSON object")
    add_critic_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    image, names = read_picture(args.image), critic_names(args.critic)
    told: dict[str, dict[str, Any]] = {name: {} for name in names}
    if args.spec is not None:
        if "geneval" not in names:
            raise InputError(f"--spec is for the critic geneval, and '{args.critic}' does not ask it.")
        told["geneval"] = {"spec": _spec(args.spec)}
    for name in names:
        if args.device and "device" in critic_class(name).about.options:
            told[name]["device"] = args.device
    options = options_for(args.critic, told, read_options(args.option))
    critic = load_critic(args.critic, load_model(args.model, args.device) if "self" in names else None, **options)
    critic.check_prompt(args.prompt)
    started = time.monotonic()
    score = judge(critic, image, args.prompt)
    if args.json:
        record = {"critic": critic.name, **asdict(score), "seconds": round(time.monotonic() - started, 4)}
        sys.stdout.write(json_line(record, sys.stdout))
        return 0
    sys.stdout.write(plain_text(f"{score.value:.3f}  {score.reason}") + "\n")
    for name, value in score.parts.items():
        sys.stdout.write(plain_text(f"{value:.3f}  {name}") + "\n")
    return 0


def _spec(said: str) -> Any:
    try:
        return json.loads(said if said.lstrip().startswith("{") else read_text(said))
    except (ValueError, RecursionError) as error:  # an InputError of the file is one
        raise InputError(f"--spec is a JSON object or a file that holds one: {error}.") from error
