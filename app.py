"""Starts the page: `python app.py`, on a laptop, in a container or on a Hugging Face Space."""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO

from transformers.utils import logging as transformers_logging

from milr_core import CriticError, InputError, Janus, SearchSettings, load_critic, load_model, start
from ui import EXAMPLES, LARGEST_FILE, build_demo, launch_options

PORT = 7860
SMALL = 50_000_000
"""Parameters of a model up to which a step is made before the page opens."""

WAITING_AT_MOST = 50
"""Visitors' events in the queue before new ones are turned away."""


def parse(argv: list[str] | None, env: Mapping[str, str]) -> argparse.Namespace:
    """Flags, with the environment's values as defaults."""
    parser = argparse.ArgumentParser(description="MILR Studio: watch test-time reasoning draw.")
    parser.add_argument(
        "--model", default=env.get("MILR_MODEL") or "janus-shapes", help="embedded name, folder or hub id"
    )
    parser.add_argument("--critic", default=env.get("MILR_CRITIC", "oracle"), help="critic chosen at first")
    parser.add_argument("--host", default=host(env), help="address to listen at")
    parser.add_argument("--port", type=int, default=env.get("PORT") or env.get("GRADIO_SERVER_PORT") or PORT)
    return parser.parse_args(argv)


def host(env: Mapping[str, str]) -> str:
    """This machine only, unless the environment says otherwise or is a Space."""
    return env.get("HOST") or env.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if env.get("SPACE_ID") else "127.0.0.1")


def seconds_a_step(model: Janus, critic: str) -> float | None:
    """How long a step takes here; None where it is not worth the wait. The first of two steps warms the model up."""
    if sum(p.numel() for p in model.hf.parameters()) > SMALL:
        return None
    try:
        states = [start(model, load_critic(critic, model=model), EXAMPLES[0], SearchSettings()) for _ in range(2)]
    except (InputError, CriticError):
        return None
    return states[-1].cost.seconds


def refuse(error: Exception) -> int:
    """Say in one line why there is no app."""
    sys.stderr.write(f"{' '.join(str(error).split())}\n")
    return 2


def main(argv: list[str] | None = None) -> int:
    args = parse(argv, os.environ)
    transformers_logging.disable_progress_bar()
    try:
        model = load_model(args.model)
        load_critic(args.critic, model=model)
    except (InputError, CriticError) as error:
        return refuse(error)
    demo = build_demo(model, args.critic, seconds_a_step(model, args.critic))
    demo.queue(max_size=WAITING_AT_MOST)
    try:
        with redirect_stdout(StringIO()):  # what gradio says of its MCP server; the line below is ours
            _, url, _ = demo.launch(
                server_name=args.host,
                server_port=args.port,
                quiet=True,
                prevent_thread_lock=True,
                enable_monitoring=False,
                run_history=False,
                max_file_size=LARGEST_FILE,
                mcp_server=True,
                ssr_mode=False,
                **launch_options(),
            )
    except OSError as error:  # the port is taken, or the address is not this machine's
        return refuse(error)
    print(f"MILR Studio with {model.name} on {model.device.type}: {url}", flush=True)
    demo.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
