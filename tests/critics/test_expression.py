"""One grammar of critics and their options, for page, command line and benchmarks."""

import pytest

from bench.layouts import plain
from bench.suites import Item
from bench.worker import Setup
from milr_core import InputError, Mixture, load_critic
from milr_core.cli import main
from milr_core.critics import options_for, parse, read_options
from milr_core.critics.expression import Term
from milr_core.engine import options_for as options_of_page
from milr_core.engine import singles

ITEM = Item("00000", "a cat", "prompts", 0, critic_options={"compbench": {"category": "color"}})


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("oracle", [Term("oracle")]),
        (" oracle ", [Term("oracle")]),
        ("oracle+self", [Term("oracle"), Term("self")]),
        ("0.7 * oracle + .3*self", [Term("oracle", 0.7), Term("self", 0.3)]),
        ("2*gpt-4o", [Term("gpt-4o", 2.0)]),
        ("1.*oracle+self", [Term("oracle"), Term("self")]),
    ],
)
def test_everybody_reads_the_same_critics(text, terms):
    names = [term.name for term in terms]
    assert parse(text) == terms and singles(text) == names
    assert Setup("m", text, critic_options={names[0]: {"x": 1}}).options_of(text, ITEM) == (
        {"x": 1} if text.strip() == names[0] else {names[0]: {"x": 1}}
    )
    assert options_of_page(text, {"judge": "j"}) == ({"gpt-4o": {"judge": "j"}} if "gpt-4o" in text else {})


def test_terms_without_weights_count_the_same(tiny):
    mixture = load_critic("self+oracle", model=tiny)
    assert isinstance(mixture, Mixture) and mixture.name == "1*self+1*oracle"
    assert [weight for weight, _ in load_critic("3*self+oracle", model=tiny).weighted] == [0.75, 0.25]
    assert isinstance(load_critic("2*oracle"), Mixture), "a mixture of one is still a mixture"


def test_options_are_read_once_for_all(tmp_path):
    said = ["soft=true", "judge=None", "clip=/a/b=c", "gpt-4o.max_calls=3", "gpt-4o.judge=x"]
    options = read_options(said)
    assert options == {"soft": True, "judge": None, "clip": "/a/b=c", "gpt-4o": {"max_calls": 3, "judge": "x"}}
    assert read_options([f"x={'9' * 5000}"])["x"] == "9" * 5000 and read_options(["x=" + "[" * 5000])["x"][0] == "["
    for wrong in (["x"], ["=1"], ["gpt-4o.=1"], ["nope.x=1"], ["geneval=1", "geneval.soft=true"]):
        with pytest.raises(InputError):
            read_options(wrong)
    told = {"geneval": {"soft": True, "clip": "a"}, "wise": {"scale": "x"}}
    assert options_for("geneval", told, {"clip": "b"}) == {"soft": True, "clip": "b"}
    assert options_for("geneval", told, {"geneval": {"clip": "b"}}) == {"soft": True, "clip": "b"}
    mixed = options_for("geneval+gpt-4o", told, {"gpt-4o": {"key": "k"}})
    assert mixed == {"geneval": {"soft": True, "clip": "a"}, "gpt-4o": {"key": "k"}}
    critic = load_critic("geneval+gpt-4o", **mixed)
    assert critic.weighted[0][1].soft and load_critic("geneval", geneval={"soft": True}).soft
    assert main(["score", str(tmp_path), "x", "--critic", "oracle", "--option", "nope.x=1"]) == 2


def test_options_of_an_item_reach_its_critic_alone():
    setup = Setup("m", "compbench+oracle", critic_options={"compbench": {"clip": "a"}})
    assert setup.options_of("compbench+oracle", ITEM) == {"compbench": {"clip": "a", "category": "color"}}
    assert setup.options_of("compbench", ITEM) == {"clip": "a", "category": "color"}
    assert plain(ITEM, 0)
