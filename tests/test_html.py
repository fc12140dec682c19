"""A run as one HTML file: what it shows, that it fits, and that nothing from a run becomes part of the page."""

import base64
import hashlib
import re
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from milr_core import InputError, Score, Step, cli
from milr_core.critics.base import FOUND, MISSED, Box
from milr_core.export import to_html
from milr_core.export.page import LIMIT
from milr_core.export.pictures import chosen
from milr_core.export.run import Run, opened
from milr_core.export.words import ADDED, REMOVED, Word, changed, changes, marked, moved_part, plan

ROOT = Path(__file__).resolve().parent.parent
IMPROVES = ROOT / "tests" / "old" / "janus-shapes.zip"  # recorded for good: the shipped ones are made anew now and then
EXAMPLES = [IMPROVES, *sorted((ROOT / "examples").glob("*.zip"))]
ASKED = {"prompt": "two red dogs", "model": "janus-icons", "weights_hash": "0" * 64, "critic": "oracle"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&lt;\u202e<style>*{}"


class Seen(HTMLParser):
    """Elements, attributes, the texts within them by tag, and where links and sources lead."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.addresses: list[tuple[str, str]] = []
        self.text: dict[str, list[str]] = {}
        self.meta: dict[str, str] = {}
        self.classes: Counter[str] = Counter()
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._open = tag
        self.tags[tag] += 1
        self.attributes |= given.keys()
        self.classes.update((given.get("class") or "").split())
        self.addresses += [(tag, given[name] or "") for name in ("src", "href") if name in given]
        if tag == "meta":
            self.meta[given.get("http-equiv") or given.get("name") or "charset"] = given.get("content") or ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self._open, []).append(data)

    @property
    def words(self) -> str:
        said = (" ".join(parts) for tag, parts in self.text.items() if tag not in ("style", "script"))
        return re.sub(r"\s+", " ", " ".join(said))


@pytest.fixture(scope="module")
def improves() -> Run:
    with opened(IMPROVES) as bundle:
        return Run.of(bundle)


def page(steps: list[Step], **about: str) -> str:
    return to_html(steps, **{**ASKED, **about})


def long_run(run: Run, count: int) -> list[Step]:
    """A run of so many steps, the best of them somewhere in it."""
    best = count // 3
    made = []
    for i in range(count):
        step = run.steps[i % 5]
        score = Score(1.0, {}, "Right.") if i == best else step.score
        made.append(replace(step, index=i, score=score, best=best if i >= best else 0))
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_recorded_run_is_a_small_file_that_asks_nothing_of_a_network(path: Path):
    with opened(path) as bundle:
        html, run = to_html(bundle), Run.of(bundle)
    seen = Seen(html)
    assert len(html.encode()) < LIMIT // 4
    assert seen.tags["article"] == len(run.steps) and seen.tags["h1"] == 1
    for tag, address in seen.addresses:
        assert address.startswith(
            ("data:image/png;base64,", "#step-", "data:,") if tag != "a" else ("#step-", "https://")
        )
    assert not {name for name in seen.attributes if name.startswith("on") or name == "style"}
    assert not re.search(r"url\(|@import|<\|", html)
    assert "nats" not in seen.words and run.weights_hash in seen.words and "Apache-2.0" in seen.words


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(improves: Run):
    seen = Seen(to_html(improves.steps, prompt=improves.prompt))
    allowed = dict(part.strip().split(" ", 1) for part in seen.meta["Content-Security-Policy"].split(";"))
    for tag in ("style", "script"):
        assert seen.tags[tag] == 1
        digest = base64.b64encode(hashlib.sha256("".join(seen.text[tag]).encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


def test_before_and_after_say_what_changed(improves: Run):
    html = to_html(improves.steps, prompt=improves.prompt)
    assert "Step 0: <b>0.69</b> → step 5: <b>1.00</b>. 9 words of the plan and 20 of the picture's 36 cells" in html
    assert '<ins><span class="moved">top-left</span></ins>' in html and "<del>draw</del>" in html
    assert "the first 16 of 31 words of the plan and the first of 36 cells of the picture" in html
    assert html == to_html(improves.steps, prompt=improves.prompt), "the same run gives the same file"


def test_nothing_of_a_run_becomes_part_of_the_page(improves: Run):
    def with_words(words: str) -> Seen:
        boxes = (Box(words, 0.1, 0.1, 0.5, 0.5, words, words),)
        score = Score(0.5, {words: 0.5}, words, boxes=boxes)
        steps = [
            replace(
                step, text=words, token_strings=[words], text_tokens=[1], text_positions=[0] if step.index else [],
                score=score, best=0, observed={words: Score(0.2, {}, words)},
            )
            for step in improves.steps
        ]  # fmt: skip
        return Seen(to_html(steps, prompt=words, model=words, weights_hash=words, critic=words, link="javascript:x"))

    plain, hostile = with_words("word"), with_words(HOSTILE)
    assert hostile.tags == plain.tags and hostile.attributes == plain.attributes
    assert "<script>alert(1)</script>" in hostile.words and "\u202e" not in hostile.words
    assert not [address for _, address in hostile.addresses if address.startswith("javascript")]


def test_a_long_run_is_thinned_to_fit_and_says_so(improves: Run):
    steps = long_run(improves, 1001)
    html = page(steps)
    shown = [int(i) for i in re.findall(r'<article class="step" id="step-(\d+)"', html)]
    assert len(html.encode()) <= LIMIT and 20 < len(shown) <= 60
    assert {0, steps[-1].best, 1000} <= set(shown)
    gaps = [b - a for a, b in zip(shown, shown[1:], strict=False)]
    assert max(gaps) < 2 * 1000 / (len(shown) - 2)
    assert f"The run has 1001 steps; {len(shown)} of them are here" in html


def test_large_pictures_are_compressed_and_the_file_says_so(improves: Run):
    noise = Image.effect_noise((384, 384), 120).convert("RGB")
    html = page([replace(step, image=noise) for step in improves.steps], model="deepseek-community/Janus-Pro-1B")
    assert len(html.encode()) <= LIMIT and html.count("data:image/webp;base64,") == len(improves.steps) + 2
    assert "compressed to fit" in html and "DeepSeek Model License" in html


def test_what_does_not_fit_at_all_is_refused(improves: Run):
    with pytest.raises(InputError, match="Not even three steps"):
        to_html(improves.steps, prompt="x", limit=30_000)


@pytest.mark.parametrize("count", [1, 2, 3, 60, 61, 500])
def test_chosen_steps_hold_first_best_and_last(improves: Run, count: int):
    run = replace(improves, steps=long_run(improves, count))
    for most in (3, 7, 60):
        shown = chosen(run, most)
        assert len(shown) <= max(most, 3) and {0, run.best, count - 1} <= set(shown)
        assert shown == sorted(set(shown))


def test_pictures_drawn_on_their_own_are_not_said_to_be_moved(improves: Run):
    nothing = {"text_positions": [], "text_prefix": 0, "image_positions": [], "method": "best-of-n"}
    alone = [replace(step, **nothing) for step in improves.steps]
    html = page(alone)
    assert "drawn each on its own" in html and "Drawn on its own, with new luck" in html
    assert "Moved for this step" not in html and 'class="moved"' not in html
    assert "best_of_n(" in html and "Best-of-N has no command" in html


def test_settings_that_were_changed_on_the_way_are_told_with_their_step(improves: Run):
    changed_from = 3
    steps = [
        replace(step, settings=replace(step.settings, lr=0.03 if step.index < changed_from else 0.5))
        for step in improves.steps
    ]
    html = page(steps)
    assert "<li>From step 3: Learning rate 0.03 → 0.5</li>" in html and '<line class="changed"' in html
    opened_first = html[html.index("<details open>") : html.index("</details>")]
    assert "λt, text" in opened_first and "Seed" not in opened_first
    assert "settings = replace(settings, lr=0.5)" in html


def test_boxes_are_drawn_where_a_score_has_them(improves: Run):
    score = Score(0.5, boxes=(Box("red cat", 0.25, 0.5, 0.75, 1.0, MISSED), Box("dog", 0, 0, 0.5, 0.5, FOUND)))
    seen = Seen(page([replace(improves.steps[0], score=score)]))
    assert seen.classes["missed"] and seen.classes["found"] and "What the critic saw" in seen.words
    plain = Seen(page([improves.steps[0]]))
    assert not plain.classes["boxes"] and "What the critic saw" not in plain.words


def test_steps_that_are_no_run_are_refused(improves: Run):
    with pytest.raises(InputError, match="no step"):
        page([])
    with pytest.raises(InputError, match="step 0"):
        page(list(improves.steps[2:]))


def test_words_are_compared_as_words():
    ours = [Word("", "a"), Word(" ", "red"), Word(" ", "cat"), Word("", ".")]
    made = changes(ours, [Word("", "a"), Word(" ", "dog")])
    assert changed(made) == 2
    assert [c.word.text for c in made if c.kind == REMOVED] == ["dog"]
    assert [c.word.text for c in made if c.kind == ADDED] == ["red", "cat", "."]
    assert marked(made) == "a <del>dog</del> <ins>red cat.</ins>"
    assert moved_part([True, True, False], "word") == "the first 2 of 3 words"
    assert moved_part([False, True, False], "cell") == "1 of 3 cells" and moved_part([False], "cell") == ""


def test_words_of_a_plan_know_which_were_moved(improves: Run):
    tokens = ["red", "cat", "s", ",", "red", "dogs", "<end>"]
    step = replace(improves.steps[5], text="red cats, red dogs", token_strings=tokens)
    words = plan(replace(step, text_positions=[1, 6]))
    assert [(w.text, w.moved) for w in words] == [
        ("red", False), ("cats", True), (",", False), ("red", False), ("dogs", False),
    ]  # fmt: skip


def test_the_command_writes_the_file_from_a_folder_and_from_a_zip(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = tmp_path / "run"
    with zipfile.ZipFile(IMPROVES) as archive:
        archive.extractall(folder)
    assert cli.main(["export", str(folder), "--html", str(tmp_path / "new" / "a.html")]) == 0
    assert cli.main(["export", str(IMPROVES), "--out", str(tmp_path)]) == 0
    written = [tmp_path / "new" / "a.html", tmp_path / "janus-shapes.html"]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in written]
    assert (tmp_path / "new" / "a.html").read_bytes() == (tmp_path / "janus-shapes.html").read_bytes()
    shutil.rmtree(folder)
    for wrong, said in (
        ([str(folder)], "There is no run at"),
        ([str(tmp_path / "janus-shapes.html")], "not a zip"),
        ([str(IMPROVES), "--html", str(tmp_path)], "Cannot write"),
        ([str(IMPROVES), "--html", "x", "--out", "y"], "not both"),
    ):
        assert cli.main(["export", *wrong]) == 2
        assert said in capsys.readouterr().err
