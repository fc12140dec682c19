"""One run: which prompts, methods and seeds; what of it is missing in the folder; hand that out and keep what comes."""

import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.executor import Executor
from bench.methods import Method
from bench.progress import Progress
from bench.report import machine
from bench.store import Store, read_manifest
from bench.suites import Item, Suite, check_unique, load_suite
from bench.worker import Job, Setup, Worker, tags
from milr_core.critics.base import plain_text
from milr_core.errors import InputError
from milr_core.janus.catalog import local_folder
from milr_core.janus.description import description_of
from milr_core.janus.load import checkpoint_folder
from milr_core.janus.weight_files import weights_hash

logger = logging.getLogger(__name__)

PLANS = ("all", "wrong", "right", "both")
POOL_SETS = 6  # times the suite of the world from which prompts are picked by their plan
PICKED = 100  # prompts picked, unless a limit says otherwise


@dataclass(frozen=True)
class Run:
    """What is asked for. plans: of `world`, the prompts whose plan is wrong or right at step 0, or as many of both."""

    folder: Path
    suite: str
    methods: tuple[Method, ...]
    setup: Setup
    seeds: int
    limit: int | None = None
    plans: str = "all"
    studies: tuple[str, ...] = ()
    study_methods: tuple[str, ...] = ()
    command: str = ""
    track: str | None = None


def _by_plan(run: Run, suite: Suite) -> Iterator[Item]:
    """Items of the pool whose greedy text is right or wrong, as asked for; decodes text only, so it is quick."""
    wanted = {"wrong": [False], "right": [True], "both": [False, True]}[run.plans]
    left = dict.fromkeys(wanted, max(1, (run.limit or PICKED) // len(wanted)))
    worker = Worker(run.setup)
    for item in suite.items:
        right = tags(item, worker.first_text(item.prompt)).get("plan_right")
        if isinstance(right, bool) and left.get(right):
            left[right] -= 1
            yield item
        if not any(left.values()):
            return


def choose_items(run: Run, suite: Suite) -> tuple[Item, ...]:
    """The run's prompts. Picked by plan they are noted in the folder, so that a rerun need not pick again."""
    if run.plans == "all":
        return suite.limited(run.limit).items
    if not suite.name.startswith("world"):
        raise InputError("Plans are read in the embedded world only: --plans needs --suite world.")
    if (run.folder / "run.json").exists():
        before = read_manifest(run.folder)
        if before.get("limit") == run.limit and before["fixed"].get("weights") == weights_hash(
            checkpoint_folder(run.setup.model)
        ):
            known = {item.id: item for item in suite.items}
            return tuple(known[name] for name in before["items"] if name in known)
    logger.info("Reading plans to pick prompts whose plan is %s at step 0 …", run.plans)
    return tuple(_by_plan(run, suite))


def manifest_of(run: Run, suite: Suite, items: Sequence[Item]) -> dict[str, Any]:
    prompts = "\n".join(f"{item.id}\t{item.prompt}" for item in suite.items)
    settings = {k: v for k, v in run.setup.settings.as_dict().items() if k != "seed"}
    return {
        "schema": 1,
        "fixed": {
            "suite": run.suite,
            "prompts": f"{zlib.crc32(prompts.encode()):08x}",
            "plans": run.plans,
            "model": run.setup.model,
            "weights": weights_hash(checkpoint_folder(run.setup.model)),
            "critic": run.setup.critic,
            "observers": list(run.setup.observers),
            "critic_options": run.setup.critic_options,
            "settings": settings,
        },
        "weights": suite.weights,
        "limit": run.limit,
        "items": [item.id for item in items],
        "seeds": list(range(run.seeds)),
        "methods": [method.name for method in run.methods],
        "studies": list(run.studies),
        "study_methods": list(run.study_methods),
        "command": run.command,
        "machine": machine(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def jobs_of(run: Run, items: Sequence[Item], done: set) -> list[Job]:
    """One a prompt and seed with anything missing; the first seed of all prompts comes first."""
    jobs = []
    for seed in range(run.seeds):
        for item in items:
            missing = tuple(m for m in run.methods if (item.id, m.name, seed) not in done)
            if missing:
                jobs.append(Job(item, seed, missing))
    return jobs


def in_the_world(model: str) -> bool:
    """Whether a model draws the embedded world: its own description says that its prompts are read as the world's."""
    folder = local_folder(model)
    return folder is not None and description_of(folder).reader == "world"


def execute(run: Run, executor: Executor) -> int:
    """Do what is missing; returns how many records could not be made.

    Raises:
        InputError: bad input, or a folder that is in use or holds another run.
    """
    sets = 1 if run.plans == "all" else POOL_SETS
    suite = load_suite(run.suite, sets, in_the_world(run.setup.model))
    check_unique(suite.items)
    if not run.setup.critic:
        run = replace(run, setup=replace(run.setup, critic=suite.critic))
    if suite.critic_options:
        own = suite.critic_options | run.setup.critic_options.get(suite.critic, {})
        run = replace(run, setup=replace(run.setup, critic_options={**run.setup.critic_options, suite.critic: own}))
    items = choose_items(run, suite)
    if not items:
        raise InputError(f"No prompt of {run.suite} is left to run.")
    for item in items:  # a layout that cannot hold the seeds says so before anything is computed
        suite.layout(item, run.seeds - 1)
    manifest = manifest_of(run, suite, items)
    with Store(run.folder, manifest) as store:
        jobs = jobs_of(run, items, store.done)
        total = len(items) * run.seeds * len(run.methods)
        left = sum(len(job.methods) for job in jobs)
        logger.info("%s: %d of %d records are there, %d to do.", run.folder, total - left, total, left)
        keys = {(item.id, method.name, seed) for item in items for method in run.methods for seed in range(run.seeds)}
        before = [r for r in store.records if (r["item"], r["method"], r["seed"]) in keys]
        failed = 0
        with Progress(total, before, run.track, run.folder.name, manifest["fixed"]) as progress:
            for result in executor(run.setup, jobs) if jobs else ():
                if result.error:
                    failed += 1
                    store.fail((result.item.id, result.method, result.seed), result.error)
                    progress.say(plain_text(f"{result.item.id}, {result.method}, seed {result.seed}: {result.error}"))
                elif store.add(result.item, result.record, result.image, suite.layout):
                    progress.add(result.record)
    return failed
