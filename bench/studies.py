"""The paper's questions, and ours: which methods answer each, on which prompts, and what to show of the records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from bench import figures as fig
from bench import tables as tab
from bench.methods import parse_method
from bench.results import REFERENCE, Keep, Results, everything
from bench.tables import FULL, Table

BUDGETS = (1, 2, 3, 5, 9, 17)  # image rollouts: step 0 and 0, 1, 2, 4, 8, 16 steps after it
STEPS = (1, 2, 4, 8, 16, 32)
RESAMPLED = ("best-of-n-resampled-0.5", "best-of-n-resampled-0.7", "best-of-n-resampled")
DISTINCT = "best-of-n-distinct"
SEARCHES = ("joint", "text", "image")
BEYOND = ("coordinate", "mixture")
"""Searches beside the paper's."""


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Mapping[str, go.Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """settings, observers: of the run, unless given. plans: which prompts, by their plan at step 0. show: records to
    sections.
    """

    title: str
    methods: tuple[str, ...]
    show: Callable[[Results, "Study"], list[Section]]
    suite: str = "world"
    plans: str = "all"
    settings: Mapping[str, Any] = field(default_factory=dict)
    observers: tuple[str, ...] = ()


def show_main(results: Results, study: Study) -> list[Section]:
    methods = results.having(study.methods) if study.methods else results.methods
    sections = [
        Section(
            study.title,
            tab.verdicts(results, methods),
            [
                tab.main_table(results, methods, "Success, rewards and costs"),
                tab.category_table(results, methods, "Success by category"),
            ],
            {
                "methods": fig.dots(results, methods, study.title),
                "categories": fig.heat(results, methods, "Success by category"),
            },
        )
    ]
    if len(set(results.plan_right.values())) == 2:
        sections += [_by_plan(results, methods, right) for right in (False, True)]
    return sections


def _by_plan(results: Results, methods: Sequence[str], right: bool) -> Section:
    keep, word = results.where_plan(right), "right" if right else "wrong"
    methods = [method for method in methods if results.of(method, keep)]
    return Section(
        f"Prompts whose plan is {word} at step 0",
        (),
        [
            tab.main_table(results, methods, f"Plan {word} at step 0", keep),
            tab.rollouts_table(results, methods, BUDGETS, f"Plan {word}: success within equal image rollouts", keep),
        ],
        {f"plan-{word}": fig.against_rollouts(results, methods, BUDGETS, f"Plan {word} at step 0", keep)},
    )


def show_steps(results: Results, study: Study) -> list[Section]:
    methods, budgets = results.having(study.methods), [steps + 1 for steps in STEPS]
    table = tab.rollouts_table(results, methods, budgets, "Success after K steps (K + 1 image rollouts)")
    table = Table(table.title, ["method", *(f"K = {steps}" for steps in STEPS)], table.rows)
    figure = fig.against_rollouts(results, methods, budgets, "Success against steps")
    return [Section(study.title, (), [table], {"steps": figure})]


def show_ratios(results: Results, study: Study) -> list[Section]:
    sections = []
    for kind, name, symbol in (("text", "text_ratio", "λt"), ("image", "image_ratio", "λv")):
        own = [m for m in results.having(study.methods) if parse_method(m).kind == kind]
        by_value = {parse_method(m).changes[name]: m for m in own}
        table = tab.main_table(results, own, f"{symbol}, {kind}-only search")
        figure = fig.sweep(results, {f"{kind} only": by_value}, f"Success against {symbol}", symbol)
        sections.append(Section(f"{study.title}: {symbol}", (), [table], {name: figure}))
    return sections


def show_rollouts(results: Results, study: Study) -> list[Section]:
    methods = results.having(study.methods)
    tables = [
        tab.main_table(results, methods, "Success, rewards and costs"),
        tab.rollouts_table(results, methods, BUDGETS, "Success within equal image rollouts"),
    ]
    figure = fig.against_rollouts(results, methods, BUDGETS, "Success against image rollouts")
    return [Section(study.title, tab.verdicts(results, methods), tables, {"rollouts": figure})]


def show_critics(results: Results, study: Study) -> list[Section]:
    judge = results.manifest["fixed"]["critic"]
    words = [f"Success is the verdict of {judge}, whichever critic guided. A search guided by {judge} is an oracle's."]
    methods = results.having(study.methods)
    tables = [
        tab.main_table(results, methods, "Critics that guide"),
        tab.category_table(results, methods, "Success by category"),
    ]
    return [Section(study.title, words, tables, {"critics": fig.dots(results, methods, study.title)})]


def _paired(results: Results, methods: Sequence[str], title: str) -> Section:
    """Differences to every form of Best-of-N and to the paper's joint search; and images until Best-of-N is reached."""
    searches = [m for m in methods if parse_method(m).searches]
    over = [m for m in (FULL, REFERENCE, *RESAMPLED, DISTINCT, "joint") if m in methods]
    parts: dict[str, Keep] = {"all prompts": everything}
    parts |= {
        f"plan {'right' if right else 'wrong'} at step 0": results.where_plan(right)
        for right in (False, True)
        if right in results.plan_right.values()
    }
    tables = [tab.gains_table(results, searches, over, f"Gain in success, {where}", parts[where]) for where in parts]
    goals = [m for m in over if m != "joint"]
    tables += [tab.reach_table(results, searches, goals, f"Image rollouts, {where}", parts[where]) for where in parts]
    ceilings = [f"{results.ceiling(methods, keep)} of {where}" for where, keep in parts.items()]
    words = [
        f"An oracle that picks from all pictures of all these methods and seeds: {', '.join(ceilings)} drawn right.",
        *(line for m in over[2:] for line in tab.verdicts(results, methods, m)),
    ]
    return Section(title, words, tables)


def show_search(results: Results, study: Study) -> list[Section]:
    methods = results.having(study.methods)
    return [*show_main(results, study), _paired(results, methods, "Paired differences")]


def show_paper(results: Results, study: Study) -> list[Section]:
    methods = results.having(study.methods)
    tables = [tab.rollouts_table(results, methods, BUDGETS, "Success within equal image rollouts")]
    in_time = tab.seconds_table(results, methods, "Success within equal seconds")
    costs = Section("At equal cost", (), [*tables, *([in_time] if in_time else [])])
    return [*show_main(results, study), costs, _paired(results, methods, "Paired differences")]


STUDIES: dict[str, Study] = {
    "main": Study(
        "Main table and ablation (paper, Tables 1 to 3)",
        ("base", "step0", FULL, REFERENCE, "orm", *SEARCHES),
        show_main,
    ),
    "steps": Study(
        "Steps (paper, Figure 4)",
        tuple(f"{m}[steps={STEPS[-1]}]" for m in (*SEARCHES, REFERENCE)),
        show_steps,
    ),
    "ratios": Study(
        "Share of the latents that is optimised (paper, Figure 5)",
        (
            *(f"text[text_ratio={ratio}]" for ratio in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1)),
            *(f"image[image_ratio={ratio}]" for ratio in (0.02, 0.06, 0.1, 0.2, 0.4, 1)),
        ),
        show_ratios,
    ),
    "strategies": Study("Strategies (paper, Table 4)", (REFERENCE, "joint", "alt", "t2v"), show_main),
    "positions": Study(
        "Prefix against random positions (paper, Table 5)",
        (REFERENCE, "image", "image-random", "joint", "joint-random"),
        show_main,
    ),
    "critics": Study(
        "Critics (paper, Figure 6 and Table 6)",
        ("step0", "joint@oracle", "joint@self", "joint@0.5*oracle+0.5*self"),
        show_critics,
    ),
    "rollouts": Study(
        "Success against image rollouts (the fair form of the paper's Table 7)",
        ("step0", REFERENCE, *RESAMPLED, *SEARCHES, "alt", "t2v"),
        show_rollouts,
    ),
    "paper": Study(
        "The paper's comparison on its kinds of prompts",
        (
            *("base", "step0", FULL, REFERENCE, *RESAMPLED[:2], "joint", "alt", "t2v", "text", "image"),
            *(*BEYOND, f"{RESAMPLED[1]}@self", "joint@self"),
        ),
        show_paper,
        suite="paper",
        observers=("self",),
    ),
    "search": Study(
        "Is searching worth more than sampling again? Wrong and right plans at equal image rollouts",
        (REFERENCE, *RESAMPLED, DISTINCT, *SEARCHES, *BEYOND),
        show_search,
        plans="both",
    ),
}
