"""python -m serve: replicas of the page and of the model on Ray Serve, on this machine or on a cluster."""

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import ray
from ray import cloudpickle
from ray import serve as ray_serve
from ray.serve.config import RequestRouterConfig

from milr_core.critics.endpoint import HOSTS, URLS, Policy
from milr_core.errors import InputError
from serve.model_replica import ModelReplica
from serve.page_replica import PageReplica
from serve.sticky import StickyRouter
from ui.guard import for_others
from ui.limits import Limits

NAME = "milr"
ROOT = Path(__file__).resolve().parent.parent
EXCLUDED = [".git", ".venv", "runs", "docs", "tests", "**/__pycache__"]
BAD_INPUT = 2

TABS_A_PAGE = 60
"""Requests under way at once that a page is meant to have where pages are scaled: an open tab holds one or two."""

CALLS_A_MODEL = 8
"""Calls that a replica of the model takes at once: the step it makes, steps that wait for it, questions."""

MOST_REQUESTS = 1000
"""Requests under way at once that a page takes; beyond them new ones wait in the proxy."""


LAST_WORDS = 2.0
"""Seconds that a page which is ended waits for its requests: an open tab holds one for as long as it is open."""


def replicas(text: str) -> tuple[int, int]:
    """'2' is (2, 2), '1-4' is (1, 4): at least, at most."""
    low, _, high = text.partition("-")
    try:
        least, most = int(low), int(high or low)
    except ValueError:
        least, most = 0, 0
    if not 1 <= least <= most:
        raise argparse.ArgumentTypeError(f"must be a number as 2, or a range as 1-4; got '{text}'")
    return least, most


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    made = _Parser(prog="python -m serve", description="MILR Studio as replicas behind one address, on Ray Serve.")
    made.add_argument("--model", default=env.get("MILR_MODEL", "janus-icons"), help="embedded name, folder or hub id")
    made.add_argument("--critic", default=env.get("MILR_CRITIC", "oracle"), help="critic chosen at first")
    made.add_argument("--pages", type=replicas, default=(2, 2), metavar="N", help="replicas of the page: 2, or 2-6")
    made.add_argument("--models", type=replicas, default=(2, 2), metavar="N", help="replicas of the model: 2, or 1-4")
    made.add_argument("--page-cpus", type=float, default=0.5, help="cores that a page takes (default 0.5)")
    made.add_argument("--model-cpus", type=float, default=1, help="cores that a replica of the model takes (default 1)")
    made.add_argument("--model-gpus", type=float, default=0, help="GPUs that it takes; a part is shared (default 0)")
    made.add_argument("--upscale-delay", type=float, default=15, metavar="S", help="seconds before more are started")
    made.add_argument("--downscale-delay", type=float, default=600, metavar="S", help="seconds before some are ended")
    made.add_argument("--host", default=env.get("HOST", "127.0.0.1"), help="address to listen at, on every machine")
    made.add_argument("--port", type=int, default=env.get("PORT", 7860))
    made.add_argument("--address", help="of a Ray cluster to join, as auto or HOST:6379; default: a Ray of its own")
    return made


def _scaled(least_most: tuple[int, int], target: float, args: argparse.Namespace) -> dict[str, Any]:
    least, most = least_most
    if least == most:
        return {"num_replicas": least}
    scaling = {
        "min_replicas": least,
        "max_replicas": most,
        "target_ongoing_requests": target,
        "upscale_delay_s": args.upscale_delay,
        "downscale_delay_s": args.downscale_delay,
    }
    return {"autoscaling_config": scaling}


def application(args: argparse.Namespace, limits: Limits) -> ray_serve.Application:
    """Replicas of the page over replicas of the model; limits are those of each page."""
    cloudpickle.register_pickle_by_value(sys.modules[StickyRouter.__module__])  # proxies do not have this code
    model = ray_serve.deployment(
        name="model",
        max_ongoing_requests=CALLS_A_MODEL,
        ray_actor_options={"num_cpus": args.model_cpus, "num_gpus": args.model_gpus},
        **_scaled(args.models, 1, args),
    )(ModelReplica)
    page = ray_serve.deployment(
        name="page",
        max_ongoing_requests=MOST_REQUESTS,
        ray_actor_options={"num_cpus": args.page_cpus},
        request_router_config=RequestRouterConfig(request_router_class=cast(Any, StickyRouter)),
        graceful_shutdown_timeout_s=LAST_WORDS,
        **_scaled(args.pages, TABS_A_PAGE, args),
    )(PageReplica)
    share = math.ceil(args.models[1] / args.pages[0])
    return page.bind(model.bind(args.model), args.critic, limits, share)


def connect(args: argparse.Namespace) -> None:
    """Join the cluster, which gets this code; or start a Ray here, whose cores are declared, not measured."""
    if args.address:
        said = {name: os.environ[name] for name in (URLS, HOSTS) if name in os.environ}
        code = {"working_dir": str(ROOT), "excludes": EXCLUDED, "env_vars": said}
        ray.init(args.address, runtime_env=code, log_to_driver=False)
        return
    cores = math.ceil(args.pages[1] * args.page_cpus + args.models[1] * args.model_cpus)
    needed: dict[str, Any] = {"num_cpus": max(1, cores)}
    if args.model_gpus:
        needed["num_gpus"] = math.ceil(args.models[1] * args.model_gpus)
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own is 15, behind all else on the machine
    ray.init("local", include_dashboard=False, log_to_driver=False, configure_logging=False, **needed)


def start(args: argparse.Namespace, env: Mapping[str, str]) -> Callable[[], None]:
    """Deploy, and wait until pages and models are ready; what is returned takes it all down again.

    Replicas have the environment of this process, or of their machine with this process's rules for judges.

    Raises:
        InputError: a replica cannot be started, the cluster cannot be joined, or the environment sets no such limit.
    """
    limits = Limits.read(env)
    if for_others(args.host, env, args.address):
        os.environ[URLS] = (
            os.environ.get(URLS) or "public"
        )  # where strangers' judges are asked, unless the operator says otherwise
    Policy.of_environment()
    try:
        connect(args)
    except Exception as error:  # Ray raises of any kind, plain Exception among them
        raise InputError(f"Ray cannot be started or joined: {error}") from error
    try:
        ray_serve.start(proxy_location="EveryNode", http_options={"host": args.host, "port": args.port})
        ray_serve.run(application(args, limits), name=NAME, route_prefix="/")
    except RuntimeError as error:
        _end(args)
        raise InputError(f"The replicas cannot be started: {_reason(error)}") from error

    def end() -> None:
        _end(args)

    return end


def _reason(error: Exception) -> str:
    """Find, in what Serve says, the line of the error that a replica met: Serve gives its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line for line in lines if "InputError: " in line or "CriticError: " in line]
    return ours[-1].partition("Error: ")[2] if ours else lines[-1]


def _end(args: argparse.Namespace) -> None:
    if args.address:
        ray_serve.delete(NAME)
    else:
        ray_serve.shutdown()
    ray.shutdown()


def main(argv: Sequence[str]) -> int:
    """Serves until it is interrupted. Exit codes: 0 ended, 2 bad input."""
    try:
        args = parser(os.environ).parse_args(argv)
        end = start(args, os.environ)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    pages, models = ("-".join(map(str, sorted(set(n)))) for n in (args.pages, args.models))
    url = f"http://{args.host}:{args.port}/"
    print(f"MILR Studio with {args.model}, {pages} pages over {models} models: {url}", flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    end()
    return 0
