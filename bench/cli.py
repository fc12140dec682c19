"""python -m bench: run methods on a suite, run a study, rebuild a report, compare two runs."""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from bench.executor import Executor, Processes, here
from bench.methods import METHODS, parse_method, parse_methods
from bench.report import write_docs, write_report
from bench.run import PLANS, Run, execute
from bench.store import differences, read_records
from bench.studies import STUDIES
from bench.suites import SUITES, slug
from bench.worker import Setup
from milr_core import SearchSettings
from milr_core.cli import CLOSED
from milr_core.cli.output import discard_output, say, words_of, write_any_character
from milr_core.critics import CRITICS, is_remote, read_options
from milr_core.critics.base import plain_text
from milr_core.errors import CriticError, InputError
from milr_core.settings import KNOBS, PRESETS, check

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
RUNS = Path("runs/bench")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def _at_least(low: int):
    def whole(text: str) -> int:
        if not text.isdigit() or int(text) < low:
            raise argparse.ArgumentTypeError(f"must be a whole number, {low} or more; got '{text}'")
        return int(text)

    return whole


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="janus-icons", help="janus-icons (default), a folder, or a hub id")
    parser.add_argument(
        "--critic", default="", help="judges, and guides methods that name no other; default: the suite's"
    )
    parser.add_argument("--observer", action="append", default=[], metavar="NAME", help="a held-out critic; repeatable")
    parser.add_argument(
        "--critic-option", action="append", default=[], metavar="CRITIC.OPTION=VALUE",
        help="as geneval.soft=true; a suite's own critic knows where its prompts are",
    )  # fmt: skip
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="keep what remote judges answer, so that it is paid for once"
    )
    parser.add_argument("--limit", type=_at_least(1), help="the first so many prompts")
    parser.add_argument("--seeds", type=_at_least(1), default=3, help="seeds 0 to N-1 (default 3)")
    parser.add_argument(
        "--plans", choices=PLANS, help="of the suite world: prompts whose plan at step 0 is wrong, right, or both"
    )
    parser.add_argument("--out", type=Path, help=f"the run's folder; default {RUNS}/ and a name; a rerun goes on there")
    parser.add_argument("--workers", type=_at_least(0), help="processes; 0 is this one (default: 2, or one a GPU)")
    parser.add_argument(
        "--batch", type=_at_least(1), default=1, metavar="N",
        help="prompts that each worker searches at once, decoded together: for GPUs (default 1)",
    )  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU a worker if there is one")
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="use Ray: start it here, or join it")
    parser.add_argument("--worker-cpus", type=float, default=1, help="cores that a Ray worker takes (default 1)")
    parser.add_argument("--worker-gpus", type=float, help="GPUs that a Ray worker takes (default 1 if there are any)")
    parser.add_argument("--trackio", metavar="PROJECT", help="log progress to this trackio project")
    parser.add_argument("--preset", choices=PRESETS, help="a named way to search, for all methods that search")
    for name, knob in KNOBS.items():
        if name not in ("seed", "strategy"):
            parser.add_argument(f"--{name.replace('_', '-')}", default=None, metavar=name.upper(), help=knob.help)


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="python -m bench", description="Methods on benchmarks: records, tables, figures.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=_Parser)
    keep_lines: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    known = "\n".join(f"  {name:25} {kind.label}" for name, kind in METHODS.items())
    suites = "\n".join(f"  {name:25} {about}" for name, about in SUITES.items())
    epilog = f"methods, as NAME[knob=value,...]@CRITIC:\n{known}\n\nsuites:\n{suites}"
    run = commands.add_parser("run", help="methods on a suite", epilog=epilog, **keep_lines)
    run.add_argument("--suite", required=True, help="see below")
    run.add_argument("--methods", required=True, help="between commas; see below")
    _common(run)
    titles = "\n".join(f"  {name:12} {study.title}" for name, study in STUDIES.items())
    study = commands.add_parser(
        "study", help="one of the paper's questions", epilog=f"studies:\n{titles}", **keep_lines
    )
    study.add_argument("name", help="a study, or several between commas, which then share a folder")
    study.add_argument("--suite", help="default: the study's")
    study.add_argument("--methods", help="instead of the study's own")
    study.add_argument("--no-static", action="store_true", help="figures as HTML only")
    _common(study)
    report = commands.add_parser("report", help="tables and figures of runs that are there")
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    report.add_argument("--docs", type=Path, metavar="FILE.md", help="one page of all the runs, as docs/results.md")
    report.add_argument("--no-static", action="store_true", help="figures as HTML only")
    compare = commands.add_parser("compare", help="whether two runs have the same records, timings aside")
    compare.add_argument("runs", type=Path, nargs=2, metavar="RUN")
    commands.add_parser("card", help="measure the embedded model and write its model card")
    commands.add_parser("speed", help="how fast the engine is")
    commands.add_parser("gpu", help="all that only a GPU can tell, in one run of minutes")
    commands.add_parser("true-size", help="what Janus-Pro's real sizes take, with random weights")
    return top


def _settings(args: argparse.Namespace, defaults: dict) -> SearchSettings:
    given = dict(PRESETS.get(args.preset, {}))
    given.pop("strategy", None)
    given |= defaults
    for name, knob in KNOBS.items():
        text = getattr(args, name, None)
        if text is None or name in ("seed", "strategy"):
            continue
        try:
            given[name] = text if knob.choices else float(text)
        except ValueError as error:
            raise InputError(f"{name} is a number; got '{text}'.") from error
        given[name] = check(name, given[name])
    return SearchSettings(**given)


def executor_of(args: argparse.Namespace) -> Executor:
    """Ray if asked for, otherwise processes: one a GPU, or two; none with --workers 0."""
    gpus = torch.cuda.device_count() if (args.device or "cuda").startswith("cuda") else 0
    count = args.workers if args.workers is not None else (gpus or 2)
    if args.ray:
        each = args.worker_gpus if args.worker_gpus is not None else float(bool(gpus))
        address = None if args.ray == "local" else args.ray
        return import_module("bench.on_ray").OnRay(max(1, count), args.worker_cpus, each, address)
    return Processes(count) if count else here


def _execute(args: argparse.Namespace, run: Run) -> int:
    failed = execute(run, executor_of(args))
    if failed:
        sys.stderr.write(
            f"{failed} records could not be made; {run.folder}/failures.jsonl says why. A rerun tries again.\n"
        )
    return FAILED if failed else 0


def _options(said: Sequence[str]) -> dict[str, dict]:
    for text in said:
        name = text.partition("=")[0]
        if "." not in name:
            raise InputError(f"'{name}' is no critic's option; write CRITIC.OPTION=VALUE, as geneval.soft=true.")
        if "key" in name:
            raise InputError("Keys are read from the environment, never from a command that is noted in the run.")
    return read_options(said)


def _setup(args: argparse.Namespace, defaults: dict, watching: Sequence[str] = ()) -> Setup:
    observers, settings = tuple(dict.fromkeys(args.observer or watching)), _settings(args, defaults)
    options = _options(args.critic_option)
    for name in CRITICS if args.answers else ():
        if is_remote(name):
            options[name] = {"answers": str(args.answers.absolute())} | options.get(name, {})
    return Setup(args.model, args.critic, observers, settings, args.device, args.batch, options)


def _page(folder: Path, static: bool) -> None:
    sys.stdout.write("\n" + plain_text(write_report(folder, static)) + "\n")
    sys.stderr.write(f"Records, report.md and figures are in {folder}.\n")


def run_command(args: argparse.Namespace, command: str) -> int:
    methods = tuple(parse_methods(args.methods))
    name = slug("-".join(part for part in (args.suite, args.plans, Path(args.model).name) if part))
    run = Run(
        args.out or RUNS / name, args.suite, methods, _setup(args, {}), args.seeds, args.limit,
        args.plans or "all", command=command, track=args.trackio,
    )  # fmt: skip
    code = _execute(args, run)
    _page(run.folder, static=False)
    return code


def study_command(args: argparse.Namespace, command: str) -> int:
    names = args.name.split(",")
    for name in names:
        if name not in STUDIES:
            raise InputError(f"There is no study '{name}'. There are {', '.join(STUDIES)}.")
    studies = [STUDIES[name] for name in names]
    places = {(args.suite or study.suite, args.plans or study.plans) for study in studies}
    if len(places) > 1:
        raise InputError("Studies on different prompts do not share a folder; run them one by one.")
    (suite, plans) = places.pop()
    given = parse_methods(args.methods) if args.methods else []
    methods = given or [parse_method(text) for study in studies for text in study.methods]
    methods = tuple({method.name: method for method in methods}.values())
    defaults = {name: value for study in studies for name, value in study.settings.items()}
    watching = [name for study in studies for name in study.observers]
    run = Run(
        args.out or RUNS / slug("-".join([*names, suite, Path(args.model).name])), suite, methods,
        _setup(args, defaults, watching), args.seeds, args.limit, plans, tuple(names), tuple(m.name for m in given),
        command, args.trackio,
    )  # fmt: skip
    code = _execute(args, run)
    _page(run.folder, not args.no_static)
    return code


def report_command(args: argparse.Namespace, argv: Sequence[str]) -> int:
    if args.docs:
        write_docs(args.runs, args.docs, argv, not args.no_static)
        sys.stderr.write(f"Wrote {args.docs}.\n")
        return 0
    for folder in args.runs:
        _page(folder, not args.no_static)
    return 0


def compare_command(args: argparse.Namespace) -> int:
    first, second = (read_records(folder)[0] for folder in args.runs)
    said = differences(first, second)
    for line in said[:20]:
        sys.stdout.write(line + "\n")
    same = f"The same {len(first)} records." if not said else f"{len(said)} records differ."
    sys.stdout.write(same + "\n")
    return FAILED if said else 0


def _done(args: argparse.Namespace, argv: Sequence[str], command: str) -> int:
    if args.command == "run":
        return run_command(args, command)
    if args.command == "study":
        return study_command(args, command)
    return report_command(args, argv) if args.command == "report" else compare_command(args)


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 1 some records could not be made, 2 bad input, 130 interrupted, 141 when nobody reads the
    output any more.
    """
    write_any_character()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("bench").setLevel(logging.INFO)
    command = f"python -m bench {shlex.join(argv)}".replace(f"{Path.cwd()}/", "")  # it is published, this folder is not
    try:
        args = parser().parse_args(argv)
        code = _done(args, argv, command)
        sys.stdout.flush()
        return code
    except InputError as error:
        say(str(error))
        return BAD_INPUT
    except BrokenPipeError:
        discard_output()
        return CLOSED
    except (CriticError, OSError) as error:
        say(words_of(error))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. What is done is kept; the same command goes on from there.\n")
        return INTERRUPTED
