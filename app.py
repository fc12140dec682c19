"""Starts the page: `python app.py`, on a laptop, in a container or on a Hugging Face Space."""

import argparse
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import StringIO

from milr_core import CriticError, InputError, load_critic
from milr_core.critics import critic_names
from milr_core.critics.endpoint import URLS, Policy
from milr_core.janus.catalog import local_folder
from ui.engines.base import Engine
from ui.engines.models import EMBEDDED, JANUS_PRO, Models, fitting, make_tried, roomy
from ui.engines.unloaded import Unloaded, announced
from ui.guard import for_others, web_options
from ui.layout import build_demo, launch_options
from ui.limits import Limits
from ui.panels.chips import chosen
from ui.storage import claim_folder

PORT = 7860

UNSEEN_SECONDS = 2.0
"""For which the loading of the first model waits for a page to be opened: importing torch holds the interpreter, so
that a page that is fetched meanwhile takes twice as long to be there."""


def parse(argv: list[str] | None, env: Mapping[str, str]) -> argparse.Namespace:
    """Flags, with the environment's values as defaults."""
    parser = argparse.ArgumentParser(
        description="MILR Studio: watch test-time reasoning draw.",
        epilog=f"Settings of a deployment, from the environment:\n{Limits.told()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", default=env.get("MILR_MODEL") or None, metavar="NAME",
        help=f"embedded name, folder or hub id; default: {EMBEDDED}, and Janus-Pro-1B where there is a GPU for it",
    )  # fmt: skip
    parser.add_argument("--critic", default=env.get("MILR_CRITIC", "oracle"), help="critic chosen at first")
    parser.add_argument("--host", default=host(env), help="address to listen at")
    parser.add_argument(
        "--root-path", default=env.get("GRADIO_ROOT_PATH", ""), metavar="PATH",
        help="path of the page behind a proxy that takes it off: /studio",
    )  # fmt: skip
    parser.add_argument(
        "--auth", default=env.get("MILR_AUTH", ""), metavar="NAME:PASSWORD",
        help="ask visitors for this name and password; better from MILR_AUTH: others see a command line",
    )  # fmt: skip
    parser.add_argument("--share", action="store_true", help="also at a public address of Gradio's, for a week")
    parser.add_argument("--port", type=int, default=env.get("PORT") or env.get("GRADIO_SERVER_PORT") or PORT)
    return parser.parse_args(argv)


def host(env: Mapping[str, str]) -> str:
    """This machine only, unless the environment says otherwise or is a Space."""
    return env.get("HOST") or env.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if env.get("SPACE_ID") else "127.0.0.1")


def login(auth: str) -> tuple[str, str] | None:
    """The name and the password of `--auth`. Raises InputError for anything else."""
    name, _, password = auth.partition(":")
    if auth and not (name and password):
        raise InputError("--auth (or MILR_AUTH) is a name and a password with a colon between them.")
    return (name, password) if auth else None


def on_zero_gpu(env: Mapping[str, str]) -> bool:
    """Whether this is a ZeroGPU Space, read as the package `spaces` reads it."""
    return env.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


@dataclass(frozen=True)
class Plan:
    """first: the model that is loaded first. then: one that is loaded after it; where_it_fits: only on a GPU with room
    for it.
    """

    first: str
    then: str = ""
    where_it_fits: bool = False


def plan(asked: str | None, space: bool, zero: bool) -> Plan:
    """asked: the model that the operator named."""
    if zero:  # the embedded model needs no GPU: nobody's quota is spent on it
        return Plan(EMBEDDED, then="" if asked == EMBEDDED else asked or JANUS_PRO)
    if asked:
        return Plan(EMBEDDED, then=asked) if space and asked != EMBEDDED else Plan(asked)
    return Plan(EMBEDDED, then=JANUS_PRO, where_it_fits=True)


def load(models: Models, planned: Plan, limits: Limits) -> None:
    """Load what is planned, with the page open already."""
    models.opened.wait(UNSEEN_SECONDS)
    begin(models, planned.first)
    models.wait()
    if models.loaded:
        print(f"{models.loaded} is loaded.", flush=True)
    else:  # the page stays, and says so as well
        sys.stderr.write(f"{models.problem}\n")
    follow(models, planned, limits)


def follow(models: Models, planned: Plan, limits: Limits) -> None:
    """Follow the plan once the first model is there, or has failed: what visitors may load, and what comes then."""
    models.offer(limits.models or fitting())
    if planned.then and (not planned.where_it_fits or roomy(planned.then)):
        models.offer([planned.then])
        begin(models, planned.then)


def begin(models: Models, name: str) -> None:
    """Begin to load a model, unless a visitor was faster with another."""
    try:
        models.load(models.shown(name))
    except InputError as error:
        sys.stderr.write(f"{error}\n")


def check_critic(name: str) -> None:
    """Raise InputError or CriticError for a critic that cannot be used."""
    for single in critic_names(name):
        if single not in ("oracle", "self"):  # which need nothing, or the model alone; scipy is not waited for here
            load_critic(single)


def engines(planned: Plan, zero: bool, critic: str) -> tuple[Engine, Models]:
    """What stands for an engine while the page opens, and what loads the model that takes its place.

    On ZeroGPU the engines themselves: what is loaded once the page is open never reaches the GPU.

    Raises:
        InputError: there is no such model.
    """
    if zero:
        # It imports `spaces`, which is there on a Space only and has to come before torch.
        return import_module("ui.engines.space").engines(planned.then)
    models = Models("", [planned.first], partial(make_tried, critic=critic, prompt=chosen()[0].prompt))
    return Unloaded(announced(planned.first)), models


def refuse(error: Exception) -> int:
    """Say in one line why there is no app."""
    sys.stderr.write(f"{' '.join(str(error).split())}\n")
    return 2


def main(argv: list[str] | None = None) -> int:
    env = os.environ
    args, zero = parse(argv, env), on_zero_gpu(env)
    try:
        limits = Limits.read(env)
        claim_folder(env)
        login(args.auth)
        if for_others(args.host, env, args.share, args.auth, args.root_path):
            # Where strangers' judges are asked, unless the operator says otherwise.
            env[URLS] = env.get(URLS) or "public"
        Policy.of_environment()
        for name in limits.models:
            local_folder(name)
        planned = plan(args.model, bool(env.get("SPACE_ID")), zero)
        engine, models = engines(planned, zero, args.critic)
        check_critic(args.critic)
    except (InputError, CriticError) as error:
        return refuse(error)
    sign_in = zero and "OAUTH_CLIENT_ID" in env  # a Space has it where its front matter says `hf_oauth: true`
    demo = build_demo(engine, args.critic, limits, models, sign_in)
    try:
        with redirect_stdout(StringIO()):  # what gradio says of its MCP server; the line below is ours
            _, url, _ = demo.launch(
                server_name=args.host,
                server_port=args.port,
                quiet=True,
                prevent_thread_lock=True,
                root_path=args.root_path,
                auth=login(args.auth),
                share=args.share,
                app_kwargs=web_options(limits),
                **launch_options(),
            )
    except OSError as error:  # the port is taken, or the address is not this machine's
        return refuse(error)
    print(f"MILR Studio with {engine.facts.name}: {url}", flush=True)
    if not zero:
        threading.Thread(target=load, args=(models, planned, limits), name="milr-load", daemon=True).start()
    del engine  # another model may take its place, and its memory
    demo.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
