import json
from pathlib import Path

import plotly.graph_objects as go

from bench.cli import main
from bench.figures import write_static
from bench.report import write_docs, write_report
from bench.results import Results
from bench.store import encode
from bench.summary import opening
from bench.tables import reach_table, rollouts_table, seconds_table, verdicts


def make_run(folder, record, records, observers=("self",), **manifest):
    fixed = {
        "suite": "world", "plans": "all", "model": "tiny", "weights": "0123456789abcdef", "critic": "oracle",
        "observers": list(observers), "settings": {"steps": 2, "threshold": 0.9, "lr": 0.5},
    }  # fmt: skip
    asked = {
        "items": [str(i) for i in range(12)], "seeds": [0], "methods": ["joint", "best-of-n-early"],
        "command": "python -m bench run", "machine": "a machine", "started": "2026-01-02T03:04:05+00:00",
        "weights": None,
    }  # fmt: skip
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"fixed": fixed, **asked, **manifest}))
    (folder / "records.jsonl").write_bytes(b"".join(map(encode, records)))
    return folder


def two_methods(record, joint, other):
    watching = {"self": {"values": [0.3, 0.25], "right": [False, False]}}
    rows = [("joint", joint), ("best-of-n-early", other)]
    return [
        record(str(i), method, [0.5, value], observed=watching, tags={"plan_right": i % 2 == 0})
        for method, values in rows
        for i, value in enumerate(values)
    ]


def test_a_report_says_what_was_run_and_shows_costs_and_held_out_critics(tmp_path, record):
    folder = make_run(tmp_path / "a", record, two_methods(record, [1.0] * 12, [0.6] * 12))
    text = write_report(folder, static=False)
    assert "12 prompts of world; seeds 0; 24 records." in text and "`python -m bench run` on a machine" in text
    assert "held out: self" in text and "0.25 [0.25, 0.25]" in text
    row = next(line for line in text.splitlines() if line.startswith("| MILR, joint"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["MILR, joint", "12", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]"]
    assert cells[7:] == ["2.00", "10", "144", "2.00", "1.00"]
    assert (folder / "report.md").read_text() == text
    assert (folder / "figures/categories.html").exists() and (folder / "figures/plotly.min.js").exists()


def test_a_report_on_a_terminal_commands_nothing_and_may_be_cut_off(tmp_path, record, capsys, monkeypatch):
    rows = [row | {"category": "cats \x1b]0;x\x07"} for row in two_methods(record, [1.0] * 12, [0.6] * 12)]
    folder = make_run(tmp_path / "a", record, rows)
    assert main(["report", str(folder), "--no-static"]) == 0
    said = capsys.readouterr().out
    assert "cats" in said and not any(c in said for c in "\x1b\x07")
    monkeypatch.setattr("sys.stdout", (tmp_path / "out").open("w", encoding="ascii", errors="backslashreplace"))
    assert main(["report", str(folder), "--no-static"]) == 0
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["report", str(folder), "--no-static"]) == 1
        monkeypatch.undo()
        assert "No space left on device" in capsys.readouterr().err


def test_what_could_not_be_made_is_said_above_the_table(tmp_path, record):
    rows = [
        row for row in two_methods(record, [1.0] * 12, [0.6] * 12) if (row["item"], row["method"]) != ("3", "joint")
    ]
    folder = make_run(tmp_path / "a", record, rows)
    made = {"item": "4", "method": "joint", "seed": 0, "error": "made later"}
    lost = {"item": "3", "method": "joint", "seed": 0, "error": "The judge \x1b[31mfailed."}
    elsewhere = {"item": "99", "method": "joint", "seed": 0, "error": "of another limit"}
    lines = [json.dumps(line) for line in (made, {**lost, "error": "first"}, lost, elsewhere)]
    (folder / "failures.jsonl").write_text("\n".join([*lines, '{"item": "3", "me']))
    text = write_report(folder, static=False)
    said = "**1 records could not be made and are in none of these figures** (joint 1)"
    assert text.index(said) < text.index("| method") and "The first, 3 by joint, seed 0: The judge  [31mfailed." in text
    assert "made later" not in text and "of another limit" not in text


def test_it_says_plainly_where_search_does_not_beat_best_of_n(tmp_path, record):
    wins = [1.0 if i % 2 else 0.5 for i in range(12)]  # right where the plan is wrong, wrong where it is right
    loses = [0.5 if i % 2 else 1.0 for i in range(12)]
    results = Results.read(make_run(tmp_path / "a", record, two_methods(record, wins, loses)))
    (line,) = verdicts(results, ["joint", "best-of-n-early"])
    assert "shows no difference overall" in line
    assert "beats it where it is wrong (+1.00 [+1.00, +1.00])" in line
    assert "is worse where the plan is right (-1.00 [-1.00, -1.00])" in line


def test_equal_rollouts_cut_every_method_at_the_same_cost(tmp_path, record):
    results = Results.read(make_run(tmp_path / "a", record, two_methods(record, [1.0] * 12, [0.6] * 12)))
    table = rollouts_table(results, ["joint", "best-of-n-early"], (1, 2), "t")
    assert table.rows[0] == ["MILR, joint", "0.00 [0.00, 0.00]", "1.00 [1.00, 1.00]"]


def test_a_method_guided_by_another_critic_shows_what_that_one_gave(tmp_path, record):
    orm = record("0", "orm", [0.3, 0.8], guide="self", judged=[1.0, 0.4], right=[True, False])
    text = write_report(
        make_run(tmp_path / "a", record, [orm, record("0", "joint", [1.0])], observers=[]), static=False
    )
    row = next(line for line in text.splitlines() if line.startswith("| Best-of-N by a yes/no critic"))
    assert [cell.strip() for cell in row.strip("|").split("|")][2:5] == [
        "0.00 [0.00, 0.00]", "0.80 [0.80, 0.80]", "0.40 [0.40, 0.40]",
    ]  # fmt: skip


def test_an_unfinished_run_says_so_and_a_page_of_runs_names_its_command(tmp_path, record):
    records = two_methods(record, [1.0] * 12, [0.6] * 12)
    a = make_run(tmp_path / "a", record, records)
    b = make_run(tmp_path / "b", record, records[:-3], studies=["rollouts"])
    assert "(3 are still missing)" in write_report(b, static=False)
    write_docs([a, b], tmp_path / "docs/results.md", ["report", "a", "b", "--docs", "docs/results.md"], static=False)
    page = (tmp_path / "docs/results.md").read_text()
    assert "python -m bench report a b --docs docs/results.md" in page
    first, second, third = page.split("\n\n")[1:4]
    assert first.startswith("Of 12 prompts (the embedded world's test split), with at most 3 images each, oracle finds")
    assert "MILR, joint 100% [100, 100]" in first
    assert second.startswith("To a critic that did not guide") and third.startswith("Written on")
    assert "Run a" in page and "Success against image rollouts" in page


def test_pictures_that_cannot_be_drawn_are_said_and_not_an_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    assert write_static({"a": go.Figure()}, tmp_path / "figures") is False
    assert "Chrome" in caplog.text


def test_a_page_opens_with_what_was_found(tmp_path, record):
    rows = [
        record(str(i), method, [0.5, *values], tags={"plan_right": i % 2 == 0}, observed=watching(values))
        for method, values in (("joint", [0.6]), ("mixture", [1.0]), ("best-of-n-early", [0.6]),
                               ("best-of-n-resampled-0.7", [0.7]))
        for i in range(12)
    ]  # fmt: skip
    results = Results.read(make_run(tmp_path / "a", record, rows))
    first, second, third = opening([results])
    assert "text anew (T = 0.7) 0% [0, 0]" in first and "(mixture) 100% [100, 100]." in first
    assert "MILR, joint is no different from Best-of-N with its first text (+0.00 [+0.00, +0.00])" in second
    assert "(mixture) is better than Best-of-N with its first text (+1.00 [+1.00, +1.00]) and better than" in second
    assert "(mixture) are better than those of Best-of-N (+0.40 [+0.40, +0.40])" in third


def watching(values):
    return {"self": {"values": [0.1, *values], "right": [False] * (1 + len(values))}}


def test_images_and_seconds_until_a_goal_are_counted(tmp_path, record):
    rows = [record(str(i), "best-of-n", [0.5] * 7 + [1.0]) for i in range(6)]
    rows += [
        record(str(i), "joint", [0.5, 1.0], timing={"seconds": 0.5, "at": [0.25, 0.5]}) for i in range(6)
    ]  # fmt: skip
    results = Results.read(make_run(tmp_path / "a", record, rows))
    table = reach_table(results, ["joint"], ["best-of-n"], "t")
    assert (table.header[1], table.rows[0][1]) == ("to Best-of-N's 1.00", "2")
    in_time = seconds_table(results, ["joint", "best-of-n"], "t")
    assert in_time.header[1:] == ["0.06 s", "0.12 s", "0.25 s", "0.50 s", "1.00 s"]
    assert [cell[:4] for cell in in_time.rows[0][1:]] == ["0.00", "0.00", "0.00", "1.00", "1.00"]
    assert [cell[:4] for cell in in_time.rows[1][1:]] == ["0.00", "0.00", "0.00", "0.00", "1.00"]


def test_a_ceiling_is_what_any_picture_of_any_method_got_right(tmp_path, record):
    rows = [record(str(i), "joint", [0.5, 1.0 if i < 3 else 0.4, 0.3]) for i in range(6)]
    rows += [record(str(i), "mixture", [1.0 if i in (2, 3) else 0.5], seed=seed) for i in range(6) for seed in (0, 1)]
    rows += [record("5", "orm", [0.2, 1.0], guide="self", judged=[1.0, 0.2], right=[True, False])]
    results = Results.read(make_run(tmp_path / "a", record, rows))
    alone, both = (results.ceiling(methods).mean for methods in (["joint"], ["joint", "mixture", "orm"]))
    assert (alone, both) == (3 / 6, 5 / 6)
    assert results.ceiling(["joint"], lambda r: r["item"] in "345").mean == 0
