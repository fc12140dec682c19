"""`critics` and `score` on the command line; options and metadata of every critic."""

import inspect
import json

import pytest
from PIL import Image

from milr_core import InputError, load_critic
from milr_core.cli import main
from milr_core.critics import CRITICS, critic_class
from milr_core.critics.base import READY, UNLOADED
from tests.critics import tiny
from world.scene import Item, render

RIGHT = [Item("dog", "red", "left"), Item("dog", "red", "top")]


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_every_critic_says_what_it_needs(capsys, monkeypatch):
    assert main(["critics", "--json"]) == 0
    records = {r["name"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(records) == list(CRITICS)
    assert records["oracle"]["present"] and records["self"]["present"] and not records["gpt-4o"]["present"]
    for name in ("unified", "mixed", "geneval", "compbench", "aesthetic"):
        record = records[name]
        assert record["weights"] and record["gigabytes"] == pytest.approx(
            sum(w["gigabytes"] for w in record["weights"])
        )
        for one in record["weights"]:
            assert set(one) == {"id", "kind", "role", "gigabytes", "licence", "present"} and one["licence"]
        assert record["present"] == all(w["present"] for w in record["weights"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert main(["critics"]) == 0
    shown = capsys.readouterr().out
    assert "hf download facebook/mask2former-swin-small-coco-instance" in shown and "sk-secret" not in shown
    assert critic_class("gpt-4o").about.present
    assert main(["critics", "geneval"]) == 0
    assert "--option soft" in capsys.readouterr().out
    assert main(["critics", "nope"]) == 2


@pytest.mark.parametrize("name", [name for name in CRITICS if name != "oracle"])
def test_the_options_said_are_the_options_taken(name):
    kind = critic_class(name)
    said = {option for options in kind.about.options for option in options.split(", ")}
    taken = set(inspect.signature(kind).parameters) - {"model", "options"}
    assert taken <= said
    with pytest.raises(InputError, match="no option 'magic'"):
        load_critic(name, model=object(), magic=1)


def test_options_of_a_mixture_are_given_by_critic():
    mixture = load_critic("0.5*geneval+0.5*gpt-4o", geneval={"soft": True}, **{"gpt-4o": {"key": "k", "judge": "j"}})
    assert mixture.weighted[0][1].soft and mixture.weighted[1][1].judge.judge == "j"
    assert mixture.state == UNLOADED and len(mixture.models) == 2 and load_critic("oracle").state == READY
    copy = mixture.for_run(lambda: None)
    assert copy.name == mixture.name and copy.weighted[1][1].judge.budget is not mixture.weighted[1][1].judge.budget
    assert copy.models[0] is mixture.models[0], "weights are shared"
    with pytest.raises(InputError, match="by critic"):
        load_critic("0.5*geneval+0.5*oracle", soft=True)


def test_score_a_file(tmp_path, capsys):
    path = tmp_path / "image.png"
    render(RIGHT).save(path)
    assert main(["score", str(path), "two red dogs", "--critic", "oracle", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["value"] == 1.0 and record["critic"] == "oracle" and record["raw"]["correct"]
    assert set(record) == {"critic", "value", "parts", "reason", "raw", "usage", "boxes", "seconds"}
    assert main(["score", str(path), "two blue dogs", "--critic", "0.5*oracle+0.5*self"]) == 0
    assert "expected two blue dogs" in capsys.readouterr().out.lower()


def test_score_with_a_spec_and_folders(tmp_path, capsys):
    path, spec = tmp_path / "image.png", {"tag": "single_object", "include": [{"class": "cat", "count": 1}]}
    Image.new("RGB", (40, 32), "red").save(path)
    detector, clip = tiny.mask2former(tmp_path / "m"), tiny.clip(tmp_path / "c")
    command = ["score", str(path), "anything", "--critic", "geneval", "--device", "cpu", "--json"]
    command += ["--option", f"detector={detector}", "--option", f"clip={clip}", "--option", "soft=true"]
    assert main([*command, "--spec", json.dumps(spec)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["raw"]["tag"] == "single_object" and record["parts"] == {"1 cat": 0.0} and record["value"] == 0
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert main([*command, "--spec", str(tmp_path / "spec.json")]) == 0
    assert main(command) == 2 and "GenEval cannot judge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["IMAGE", "two red dogs"], 2, "--critic"),
        (["IMAGE", "two red dogs", "--critic", "nope"], 2, "There is no critic"),
        (["/no/such.png", "two red dogs", "--critic", "oracle"], 2, "no image"),
        (["IMAGE", "a dragon", "--critic", "oracle"], 2, "dragon"),
        (["IMAGE", "a cat", "--critic", "gpt-4o"], 2, "OPENAI_API_KEY"),
        (["IMAGE", "a cat", "--critic", "geneval", "--spec", "{"], 2, "--spec"),
        (["IMAGE", "a cat", "--critic", "geneval", "--spec", "[]"], 2, "--spec"),
        (["IMAGE", "a cat", "--critic", "oracle", "--option", "x"], 2, "NAME=VALUE"),
        (["IMAGE", "a cat", "--critic", "geneval", "--option", "detector=/no/such/folder"], 1, "cannot be loaded"),
    ],
)
def test_bad_input_and_missing_weights(tmp_path, arguments, code, says, capsys):
    path = tmp_path / "image.png"
    render(RIGHT).save(path)
    assert main(["score", *(str(path) if a == "IMAGE" else a for a in arguments)]) == code
    captured = capsys.readouterr()
    assert says in captured.err and "Traceback" not in captured.err and captured.out == ""


def test_options_that_are_none(tmp_path, capsys, monkeypatch):
    path = tmp_path / "image.png"
    render(RIGHT).save(path)
    command = ["score", str(path), "two red dogs", "--critic", "oracle+gpt-4o", "--option", "gpt-4o.key=k"]
    assert main([*command, "--option", "gpt-4o.judge=None", "--option", "gpt-4o.max_calls=0"]) == 2
    assert "max_calls" in capsys.readouterr().err
    assert main(["score", str(path), "x", "--critic", "oracle", "--spec", "{}"]) == 2
    assert "--spec is for the critic geneval" in capsys.readouterr().err
