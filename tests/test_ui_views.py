"""What the page shows, as functions of real steps."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import ui
from milr_core import Critic, Janus, Score, Step, reason
from milr_core.critics.base import IGNORED, MISSED, Box
from milr_core.diagnostics import flags
from milr_core.export.recipe import Recipe, as_command, as_json, as_python, from_query, query
from milr_core.probabilities import inspected
from milr_core.record import MadeBy
from tests.ui_helpers import PROMPT, SETTINGS
from ui.panels.compare_table import progress, table
from ui.panels.flags import MEANING, flagged
from ui.panels.gallery import tiles
from ui.panels.lanes import differing, lanes
from ui.panels.plot import reward_figure
from ui.panels.reasoning import aligned, reasoning
from ui.panels.runs import about, runs
from ui.panels.score import score
from ui.panels.settings_table import changes, settings
from ui.panels.stage import other_step, picture
from ui.panels.status import estimate, in_force, status
from ui.panels.stepper import stepper
from ui.run import FAILED, FINISHED, PAUSED, REPLAYED, RUNNING, WAITING, Outline, Run
from ui.tabs.about import METHOD, NAME
from ui.tabs.about import about as told_about
from ui.tabs.comparison import Row
from ui.tabs.results import MISSING, findings, results
from ui.waiting_list import Place


class Says(Critic):
    """Values in turn, with markup in its words."""

    def __init__(self, name: str, values: tuple[float, ...]):
        self.name, self.values = name, iter(values)

    def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
        value = next(self.values)
        return [Score(value, {"<b>part": value}, "it's <i>fine</i>")]


@pytest.fixture(scope="module")
def steps(tiny: Janus) -> list[Step]:
    """The best step is the second: a maximum that is neither first nor last."""
    critic, observer = Says("halves", (0.25, 0.5, 0.5, 0.125)), Says("<held>", (0.5, 0.25, 0.5, 0.5))
    made = reason(tiny, critic, PROMPT, replace(SETTINGS, steps=3), observers=[observer])
    return [inspected(tiny, step.state).step for step in made]


MODEL = MadeBy(id="m", weights_hash="")
URLS = ["a.png", "b.png", "c.png", "d.png"]


def outlines(steps: list[Step]) -> list[Outline]:
    return [Outline.of(s, url, tuple(flags(steps, s.index))) for s, url in zip(steps, URLS, strict=False)]


def test_model_text_is_escaped_and_the_prefix_marked(steps: list[Step]):
    strings = ["<script>", "alert", "&", "red", "<|end|>"]
    step = replace(
        steps[1], text="<script>alert & red", token_strings=strings, text_tokens=[9] * 5, text_prefix=2,
        text_positions=[0, 1], probabilities=None,
    )  # fmt: skip
    html = reasoning(step)
    assert "<script>" not in html and "&lt;script&gt;" in html and "&amp;" in html
    inside, _, after = html.partition("</mark>")
    assert "alert" in inside and "&amp;" in after and "red" not in inside
    assert '<span class="token special">&lt;|end|&gt;</span>' in after
    assert "the first 2 of 5 words" in after


def test_scattered_optimised_tokens_are_marked_one_by_one(steps: list[Step]):
    step = replace(
        steps[1], text="a red dot", token_strings=["a", "red", "dot"], text_tokens=[1, 2, 3], text_prefix=0,
        text_positions=[0, 2], probabilities=None,
    )  # fmt: skip
    html = reasoning(step)
    assert html.count("optimised") == 2 and "the 2 of 3 words, which the search moved" in html
    assert "<mark" not in html


def test_every_token_says_how_likely_it_was(steps: list[Step]):
    html = reasoning(steps[2])
    assert html.count("data-said") == len(steps[2].text_tokens)
    first, prefix = steps[2].probabilities, steps[2].text_prefix
    assert f'data-said="p {first.text[0]:.2f} from its optimised latent, {first.text_own[0]:.2f} by the model' in html
    assert html.count("by the model alone") == prefix > 0
    assert "by the model alone" not in reasoning(steps[0])


def test_a_diff_marks_what_came_and_what_went(steps: list[Step]):
    words = {"text_prefix": 1, "text_positions": [0], "probabilities": None}
    before = replace(steps[0], text="a red dot", token_strings=["a", "red", "dot"], text_tokens=[1, 2, 3], **words)
    after = replace(steps[1], text="a blue dot", token_strings=["a", "blue", "dot"], text_tokens=[1, 4, 3], **words)
    html = reasoning(after, before)
    assert '<del> <span class="token removed">red</span></del> <span class="token inserted">blue</span>' in html
    assert '<span class="token">dot</span>' in html and "1 word new, 1 gone" in html
    assert "the same text" in reasoning(after, after)


def test_tokens_keep_the_spacing_of_the_text():
    assert aligned("a red, b", ["a", " red", ",", "b"]) == [
        ("", "a", True),
        (" ", "red", True),
        ("", ",", True),
        (" ", "b", True),
    ]
    # Bytes that decode only together are no substring of the text; what follows them is found again.
    assert aligned("a é b", ["a", "\ufffd", "\ufffd", "b"])[-1] == (" é ", "b", True)


def test_reasoning_of_a_real_step_reads_as_its_text(steps: list[Step]):
    for step in steps:
        placed = aligned(step.text, step.token_strings)
        assert "".join(gap + token for gap, token, is_text in placed if is_text).strip() == step.text


def test_status_says_where_the_search_is(steps: list[Step]):
    planned = replace(SETTINGS, steps=3)
    said = status(RUNNING, steps[:3], planned)
    assert "step 2 of 3, score 0.50, best 1" in said
    assert "all steps are done" in status(FINISHED, steps, planned)
    assert "passed the threshold 0.1" in status(FINISHED, steps, replace(planned, threshold=0.1))
    assert "Paused: step 2" in status(PAUSED, steps[:3], planned)
    assert "2 searches" in status(WAITING, [], planned, Place(2))
    assert "Failed at step 0" in status(FAILED, [], planned)
    assert "Failed after step 2" in status(FAILED, steps[:3], planned)


def test_in_force_since(steps: list[Step]):
    moved = [replace(s, settings=replace(s.settings, lr=0.5 if s.index < 2 else 0.1)) for s in steps]
    assert "since step 2: <b>0.1</b>" in in_force("lr", moved, replace(SETTINGS, lr=0.1))
    assert in_force("lr", moved, replace(SETTINGS, lr=0.2)).endswith("from the next step: <b>0.2</b>")
    words, cells = len(steps[3].text_tokens), len(steps[3].image_tokens)
    said = in_force("text_ratio", steps, replace(SETTINGS, text_ratio=1.0), steps[3])
    assert said.startswith(f"first {words} of {words} words · ")
    assert in_force("image_ratio", steps, SETTINGS, steps[3]).startswith(f"first {int(0.2 * cells)} of {cells} cells")
    table = settings(moved, moved[3], "a <b>", "c")
    assert "since step 2" in table and "a &lt;b&gt;" in table


def test_score_escapes_flags_the_best_and_shows_the_held_out_critic(steps: list[Step]):
    assert [s.best for s in steps] == [0, 1, 1, 1]
    html = score(steps[1], best=1, critic="<oracle>")
    assert "<b>part" not in html and "<i>" not in html and "<oracle>" not in html and "<held>" not in html
    assert "0.50" in html and "★ best" in html and "&lt;held&gt; (held out)" in html and "0.25" in html
    assert "moved by" not in html and "★ best" not in score(steps[2], best=1)
    drawn = replace(steps[1], score=replace(steps[1].score, boxes=(Box("a <clock>", 0, 0, 1, 1, IGNORED),)))
    assert "Also drew: a &lt;clock&gt;." in score(drawn)


def test_tiles_flag_the_best_and_stay_equal_when_steps_are_added(steps: list[Step]):
    seen = outlines(steps)
    made = tiles(seen, str)
    assert [tile["best"] for tile in made] == [False, True, False, False]
    assert [tile["score"] for tile in made] == ["0.25", "0.50", "0.50", "0.12"]
    assert tiles(seen[:3], str) == made[:3] and [tile["image"] for tile in made] == URLS
    assert ["!", "reward hacking"] in made[1]["flags"]


def test_flags_explain_themselves(steps: list[Step]):
    html = flagged(flags(steps, 1))
    assert "reward hacking" in html and MEANING["reward hacking"] in html and "from 0.25 to 0.50" in html
    assert "<held>" not in html and flagged(flags(steps, 0)) == ""


def test_plot_shows_all_there_is(steps: list[Step]):
    moved = [replace(s, settings=replace(s.settings, lr=0.5 if s.index < 2 else 0.1)) for s in steps]
    made = reward_figure(moved, SETTINGS, [(7, steps[:2])])
    lines = {line["name"]: line for line in made["data"]}
    assert lines["score"]["y"] == [0.25, 0.5, 0.5, 0.125] and lines["best so far"]["y"] == [0.25, 0.5, 0.5, 0.5]
    assert (lines["threshold τ"]["x"][-1], lines["threshold τ"]["y"][-1]) == (4, 0.95)
    assert lines["held out: &lt;held&gt;"]["y"] == [0.5, 0.25, 0.5, 0.5], "plotly takes a link in a name for a link"
    assert lines["run 7"]["meta"] == 7 and lines["run 7"]["y"] == [0.25, 0.5]
    assert lines["setting changed"]["x"] == [2] and "0.5 → 0.1" in lines["setting changed"]["text"][0]
    assert made["layout"]["shapes"][0]["x0"] == 2
    assert made["changes"] == "Changed from step 2: Learning rate: 0.5 → 0.1."
    assert "Best: 0.50 at step 1" in made["summary"]
    assert changes(moved) == [(2, ["Learning rate: 0.5 → 0.1"])] and changes(steps) == []


def test_the_plot_says_old_and_new_of_several_settings(steps: list[Step]):
    new = {"lr": 0.25, "text_ratio": 0.25}
    moved = [replace(s, settings=replace(s.settings, **new)) if s.index else s for s in steps]
    said = reward_figure(moved, SETTINGS)["changes"]
    assert said == "Changed from step 1: λt, text: 0.5 → 0.25, Learning rate: 0.5 → 0.25."
    assert reward_figure(steps, SETTINGS)["changes"] == ""


def test_picture_has_the_cells_of_every_overlay(steps: list[Step], tiny: Janus):
    box = Box("red <dog>", 0.5, 0, 1, 0.5, MISSED, "a red dog")
    seen = replace(steps[2], score=replace(steps[2].score, boxes=(box,)))
    made = picture(seen, steps[0], ("c.png", "a.png"), PROMPT, best=2)
    assert made["prompt"] == PROMPT
    assert (made["now"]["image"], made["before"]["image"], made["side"]) == ("c.png", "a.png", 4)
    assert made["now"]["best"] and not made["before"]["best"] and made["before"]["boxes"] == []
    assert made["now"]["boxes"][0] == {
        "label": "red <dog>", "x0": 0.5, "y0": 0, "x1": 1, "y1": 0.5, "state": "missed", "words": "a red dog",
    }  # fmt: skip
    cells = sum(a != b for a, b in zip(steps[2].image_tokens, steps[0].image_tokens, strict=True))
    assert made["verdict"].startswith("Step 0: 0.25 → step 2: 0.50 · ") and f"{cells} of 16 cells" in made["verdict"]
    assert made["prefix"] == steps[2].image_positions != []
    assert made["changed"] == [i for i in range(16) if steps[2].image_tokens[i] != steps[0].image_tokens[i]]
    assert len(made["probability"]) == len(made["entropy"]) == tiny.num_image_tokens
    assert picture(steps[0], steps[0], ("a.png", "a.png"), PROMPT)["verdict"] == "Step 0: 0.25"
    assert [other_step(steps, 2, name, 9) for name in ("previous", "first", "best", "last", "a step")] == [
        1,
        0,
        1,
        3,
        3,
    ]
    assert other_step(steps, 0, "previous") == 0


def test_settings_say_since_when_and_escape(steps: list[Step]):
    moved = [replace(s, settings=replace(s.settings, lr=0.5 if s.index < 2 else 0.1)) for s in steps]
    html = settings(moved, moved[3], "a <b>", "c", "<m>")
    assert "since step 2" in html and "a &lt;b&gt;" in html and "&lt;m&gt;" in html and "gradient" in html


def test_the_estimate_says_what_costs_money():
    assert "17 images" in estimate(16, 0.5, 0) and "8.5 s" in estimate(16, 0.5, 0)
    assert "No call costs money" in estimate(16, 0.5, 0) and "34 calls" in estimate(16, 0.5, 2)
    assert "not known yet" in estimate(1, None, 0)
    compared = estimate(16, 0.5, 1, methods=7)
    assert "113 images: step 0 and 16 steps of search for each of 7 methods" in compared and "113 calls" in compared
    assert "1 image: step 0. About 0.5 s" in estimate(16, 0.5, 0, methods=0)


def test_a_recorded_run_says_so(steps: list[Step]):
    assert "nothing is computed" in status(REPLAYED, steps, SETTINGS)


def test_stepper_and_runs(steps: list[Step]):
    made = stepper(3, outlines(steps), SETTINGS, -1)
    scores = [0.25, 0.5, 0.5, 0.125]
    assert made == {"run": 3, "scores": scores, "best": 1, "planned": 4, "index": 0, "follow": True, "play": False}
    run = Run(PROMPT, SETTINGS, Path("x"), MODEL, number=2, steps=outlines(steps), origin="recorded")
    assert runs([run], None) == [
        {"number": 2, "shown": False, "about": f"“{PROMPT}” · joint · best 0.50 · recorded", "prompt": PROMPT}
    ]


def test_a_run_is_called_what_it_is(steps: list[Step]):
    def called(phase: str = "finished", settings=SETTINGS, **more) -> str:
        run = Run(PROMPT, settings, Path("x"), MODEL, phase=phase, **{"steps": outlines(steps)} | more)
        return about(run).removeprefix(f"“{PROMPT}” · ")

    drawn = outlines([replace(step, method="best-of-n") for step in steps])
    assert called() == "joint · best 0.50" and called("paused") == "joint · best 0.50 · paused"
    assert called(steps=drawn).startswith("best-of-n · ") and called("waiting", steps=[]) == "joint · waiting"
    assert called(steps=drawn[:1], settings=replace(SETTINGS, steps=0)).startswith("step 0 · ")


def test_comparison_table_names_the_best_and_counts_costs(steps: list[Step]):
    def row(method: str, made: list[Step]) -> Row:
        run = Run(PROMPT, SETTINGS, Path("x"), MODEL, "oracle", steps=outlines(made))
        return Row(method, run, done=True)

    html = table([row("step 0", steps[:1]), row("joint", steps)], lambda path: f"file={path}")
    assert html.count("★ best") == 1 and "0.50 at 1" in html and 'src="file=b.png"' in html
    assert 'data-method="joint"' in html and '<td data-name="Images">4</td>' in html
    assert f"“{PROMPT}”" in html and f"seed {SETTINGS.seed} and critic oracle" in html
    # Who had the same score after as many images is as good.
    html = table([row("step 0", steps[:1]), row("joint", steps), row("text", steps), row("alt", steps[:2])], str)
    assert html.count("★ best") == 3


def test_a_row_that_broke_off_says_so_and_wins_nothing(steps: list[Step]):
    def row(method: str, made: list[Step], done: bool) -> Row:
        run = Run(PROMPT, SETTINGS, Path("x"), MODEL, "oracle", steps=outlines(made))
        return Row(method, run, done)

    rows = [row("step 0", steps[:1], True), row("text", steps[:1], True), row("joint", steps, False)]
    html = table(rows, str)
    assert ">unfinished<" in html and ">running<" not in html and 'data-method="joint"' in html
    assert html.index("★ best") < html.index("<b>joint</b>")
    assert ">unfinished<" not in table(rows, str, running=True)
    assert progress("stopped", rows, 4, "") == "Stopped: 2 of 4 methods, joint unfinished."


PUBLISHED = """# Results

Of 9 prompts: step 0 77% [70, 84]; MILR, joint 81% [75, 88].

MILR, joint is better than Best-of-N (+0.25 [+0.18, +0.29]).

Written on a day by `python -m bench report RUN`.

Success is the verdict.

## Main table

- 100 prompts.

**MILR, joint** against Best-of-N with the same early stop: better overall (+0.05).

**Success by category**

| method | overall |
|---|---|
| joint | 0.9 |

![by "category"](results/categories.svg)

## Another

Nothing bold here.
"""


def test_published_results_begin_with_what_was_found():
    said = "- Of 9 prompts: step 0 77%; MILR, joint 81%.\n- MILR, joint is better than Best-of-N (+0.25)."
    assert findings(PUBLISHED) == [line.removeprefix("- ") for line in said.splitlines()], "without intervals"
    first, page = results(PUBLISHED, lambda name: f"file=/docs/{name}")
    assert first.startswith(f"## What was found\n\n{said}\n") and first.count("<img") == 1
    assert page.startswith("Of 9 prompts: step 0 77% [70, 84]") and "# Results" not in page
    picture = '<img src="file=/docs/results/categories.svg" alt="by &quot;category&quot;" loading="lazy">'
    assert (
        picture in page and 'aria-label="Table">\n\n| method | overall |\n|---|---|\n| joint | 0.9 |\n\n</div>' in page
    )
    assert "bench report" in MISSING


def test_the_method_is_told_in_four_sentences():
    assert len(METHOD) == 4 and all(said.endswith(".") and said.count(". ") == 0 for said in METHOD)


def test_about_names_the_paper_its_authors_and_every_licence(monkeypatch: pytest.MonkeyPatch):
    told = told_about("")
    assert NAME in told and told.count("DeepSeek Model License") == 2 and "Weights of janus-icons: Apache-2.0" in told
    assert 'href="https://arxiv.org/abs/2509.22761"' in told and 'href="milr/docs/ui.md"' in told
    monkeypatch.setenv("SPACE_ID", "someone/milr")
    assert 'href="https://huggingface.co/spaces/someone/milr/blob/main/README.md"' in told_about("")


def test_lanes_and_the_settings_that_differ(steps: list[Step]):
    one = Run(PROMPT, SETTINGS, Path("x"), MODEL, steps=outlines(steps))
    two = replace(one, settings=replace(SETTINGS, lr=0.25), steps=outlines(steps[:1]))
    made = lanes([("joint", "both", one, True), ("<you>", "by hand", two, False)], str)
    assert made[0]["images"] == URLS and made[0]["best"] == [0, 1, 1, 1] and made[1]["scores"] == [0.25]
    table = differing([("joint", "both", one, True), ("<you>", "by hand", two, False)])
    assert "Learning rate" in table and "0.25" in table and "λt" not in table and "<you>" not in table
    assert differing([("joint", "both", one, True), ("again", "both", one, True)]) == ""


def recipe(steps: list[Step], **more) -> Recipe:
    return Recipe("it's two red dogs", "janus-icons", "oracle", steps, **more)


def test_a_change_of_settings_is_in_every_exported_text(steps: list[Step]):
    moved = recipe([replace(s, settings=replace(s.settings, lr=0.5 if s.index < 2 else 0.1)) for s in steps])
    assert json.loads(as_json(moved))["changes"] == [{"step": 2, "lr": 0.1}]
    command = as_command(moved)
    assert "--text-ratio 0.5" in command and command.startswith("# The settings were changed")
    assert "'it'\"'\"'s two red dogs'" in command
    source = as_python(moved)
    assert "    if step.index == 1:\n        break\nsettings = replace(settings, lr=0.1)\n" in source
    ast.parse(source)


def test_settings_that_step_0_does_not_depend_on_begin_with_it(steps: list[Step]):
    other = replace(steps[0], settings=replace(steps[0].settings, strategy="image", threshold=0.1))
    assert as_command(recipe([other, *steps[1:]])) == as_command(recipe(steps))
    assert json.loads(as_json(recipe([other])))["settings"]["strategy"] == "image"
    other = replace(steps[0], settings=replace(steps[0].settings, seed=99))
    assert json.loads(as_json(recipe([other, *steps[1:]])))["changes"] == [{"step": 1, "seed": steps[1].settings.seed}]


def test_exported_texts_name_who_watched_and_which_judge(steps: list[Step]):
    options = {"oracle": {"judge": "small"}, "0.5*self+0.5*wise": {"wise": {"judge": "small"}}}
    watched = recipe(steps, observers=["0.5*self+0.5*wise"], options=options)
    about = json.loads(as_json(watched))
    assert about["observers"] == ["0.5*self+0.5*wise"] and about["critic_options"] == options
    assert "--critic oracle --option judge=small --observer '0.5*self+0.5*wise'" in as_command(watched)
    source = as_python(watched)
    assert "critic = load_critic('oracle', model=model, **{'judge': 'small'})" in source
    assert "[load_critic('0.5*self+0.5*wise', model=model, **{'wise': {'judge': 'small'}})]" in source
    assert "settings=settings, observers=observers)" in source


def test_a_link_restores_what_it_was_made_of():
    text = query("a & b", "0.7*oracle+0.3*self", "self", SETTINGS.as_dict())
    found = from_query(text)
    assert found == {"prompt": "a & b", "critic": "0.7*oracle+0.3*self", "observer": "self", **SETTINGS.as_dict()}
    assert from_query("key=secret&__theme=dark") == {}
    for bad, said in (("lr=x", "no number"), ("lr=99", "lr lies in"), ("strategy=evil", "strategy is one of")):
        with pytest.raises(ValueError, match=said):
            from_query(bad)


def test_session_and_comparison_do_not_know_gradio():
    room = Path(ui.__file__).parent
    for path in (room / "session.py", room / "run.py", room / "tabs" / "comparison.py"):
        tree = ast.parse(path.read_text())
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not any(module.split(".")[0] == "gradio" for module in imported), path
