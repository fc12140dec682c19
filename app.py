"""Starts the page: `python app.py`, on a laptop, in a container or on a Hugging Face Space."""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

try:  # on ZeroGPU it stands in for CUDA, and has to come before torch
    import spaces
    from spaces.zero.config import get_config as card
except ImportError:
    spaces = None

from transformers.utils import logging as transformers_logging

from milr_core import CriticError, InputError, SearchSettings, load_critic, memory_needed, start
from milr_core.critics.endpoint import URLS, Policy
from milr_core.janus.catalog import ALIASES, local_folder
from milr_core.janus.devices import default_device
from ui.engines.base import Engine
from ui.engines.local import LocalEngine
from ui.engines.models import EMBEDDED, JANUS_PRO, SMALL, Models, fitting, make_local, needs
from ui.engines.zero import LARGE_BYTES, Lend, ZeroEngine
from ui.guard import for_others, web_options
from ui.layout import build_demo, launch_options
from ui.limits import LARGEST_FILE, Limits
from ui.panels.chips import chosen
from ui.storage import claim_folder

PORT = 7860


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
    """first: the model loaded before the page opens. then: one that is loaded while it is open already.

    stay: whether the embedded model takes the place of a first one that cannot be loaded, with a notice why.
    """

    first: str
    then: str = ""
    stay: bool = False


def plan(asked: str | None, space: bool, zero: bool, pro_fits: bool) -> Plan:
    """asked: the model that the operator named. pro_fits: whether a GPU has room for Janus-Pro-1B."""
    if zero:  # the embedded model needs no GPU: nobody's quota is spent on it
        return Plan(EMBEDDED, then="" if asked == EMBEDDED else asked or JANUS_PRO)
    if asked:
        return Plan(EMBEDDED, then=asked) if space and asked != EMBEDDED else Plan(asked, stay=space)
    return Plan(EMBEDDED, then=JANUS_PRO if pro_fits else "")


def first_engine(planned: Plan) -> tuple[LocalEngine, Models]:
    """What computes at first, and what may follow.

    Raises:
        InputError: the model cannot be loaded, and no other is to take its place.
    """
    name, problem = planned.first, ""
    try:
        engine = make_local(name, lambda _: None)
    except InputError as error:
        if not planned.stay or name == EMBEDDED:
            raise
        name, problem = EMBEDDED, f"{name} was not loaded, and {EMBEDDED} takes its place. {error}"
        engine = make_local(name, lambda _: None)
    return engine, Models(name, problem=problem)


def zero_engines(planned: Plan, lend: Lend, factor: float) -> tuple[LocalEngine, Models]:
    """Make the engines of a ZeroGPU Space.

    The embedded model computes on this machine's own processor; another one's calls borrow a GPU. Both are loaded
    before the page opens: what is loaded later never reaches the GPU.
    """
    embedded, problem = make_local(EMBEDDED, lambda _: None, "cpu"), ""
    made: dict[str, Engine] = {EMBEDDED: embedded}
    if name := ALIASES.get(planned.then, planned.then):
        try:
            whole = memory_needed(name).peak > LARGE_BYTES
            made[name] = ZeroEngine(make_local(name, lambda _: None), lend, factor, whole)
        except InputError as error:
            problem = f"{name} was not loaded, so {EMBEDDED} is the only model here. {error}"
    return embedded, Models(EMBEDDED, made, lambda source, _: made[source], problem)


def follow(models: Models, planned: Plan, limits: Limits) -> None:
    """Follow the plan with the page open: what visitors may load, and the model that it was planned for."""
    models.offer(limits.models or fitting())
    if planned.then:
        models.offer([planned.then])
        models.load(models.shown(planned.then))


def seconds_a_step(engine: LocalEngine, critic: str) -> float | None:
    """How long a step of a small model takes here; None for others. The first of two steps warms the model up."""
    if engine.facts.weights_bytes > SMALL:
        return None
    try:
        judging = engine.judges.critic(critic)
        states = [start(engine.model, judging, chosen()[0].prompt, SearchSettings()) for _ in range(2)]
    except (InputError, CriticError):
        return None
    return states[-1].step.cost.seconds


def refuse(error: Exception) -> int:
    """Say in one line why there is no app."""
    sys.stderr.write(f"{' '.join(str(error).split())}\n")
    return 2


def main(argv: list[str] | None = None) -> int:
    env = os.environ
    args, zero = parse(argv, env), on_zero_gpu(env)
    transformers_logging.disable_progress_bar()
    try:
        limits = Limits.read(env)
        claim_folder(env)
        login(args.auth)
        if for_others(args.host, env, args.share, args.auth, args.root_path):
            env[URLS] = (
                env.get(URLS) or "public"
            )  # where strangers' judges are asked, unless the operator says otherwise
        Policy.of_environment()
        for name in limits.models:
            local_folder(name)
        gpu = not zero and not args.model and default_device() == "cuda"
        planned = plan(args.model, bool(env.get("SPACE_ID")), zero, gpu and needs(JANUS_PRO).fits)
        if zero and spaces:
            engine, models = zero_engines(planned, spaces.GPU, card()["duration_factor"])
        else:
            engine, models = first_engine(planned)
        load_critic(args.critic, model=engine.model)
    except (InputError, CriticError) as error:
        return refuse(error)
    sign_in = zero and "OAUTH_CLIENT_ID" in env  # a Space has it where its front matter says `hf_oauth: true`
    demo = build_demo(engine, args.critic, seconds_a_step(engine, args.critic), limits, models, sign_in)
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
                root_path=args.root_path,
                auth=login(args.auth),
                share=args.share,
                app_kwargs=web_options(limits),
                **launch_options(),
            )
    except OSError as error:  # the port is taken, or the address is not this machine's
        return refuse(error)
    print(f"MILR Studio with {engine.facts.name} on {engine.facts.device}: {url}", flush=True)
    del engine  # another model may take its place, and its memory
    if not zero:
        follow(models, planned, limits)
    demo.block_thread()
    return 0


if __name__ == "__main__":
    sys.exit(main())
