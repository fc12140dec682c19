import pytest

from bench.statistics import answer, by_item, difference, interval, success


def test_the_answer_is_the_best_within_the_budget_and_the_first_on_a_tie(record):
    one = record("0", "joint", [0.2, 0.8, 0.5, 1.0, 1.0])
    assert [answer(one, n) for n in (1, 2, 3, 4, 5)] == [0, 1, 1, 3, 3]
    assert (success(one, 3), success(one)) == (0.0, 1.0)


def test_success_is_judged_on_what_the_guide_chose(record):
    fooled = record("0", "joint@self", [0.2, 0.9], judged=[1.0, 0.1], right=[True, False])
    assert success(fooled) == 0.0 and success(fooled, 1) == 1.0


def test_prompts_are_resampled_with_their_seeds(record):
    """Ten seeds of two prompts are two prompts: the interval is as wide as the prompts differ."""
    records = [record(str(i), "joint", [float(i)], seed) for i in range(2) for seed in range(10)]
    values = by_item(records, lambda r: r["rewards"][0])
    assert values == {"0": 0.0, "1": 1.0}
    got = interval(values, {"0": "a", "1": "a"}, None)
    assert (got.mean, got.low, got.high, got.prompts) == (0.5, 0.0, 1.0, 2)


def test_pairing_takes_what_both_have_and_removes_what_they_share():
    a, b = {"0": 0.9, "1": 0.4, "2": 1.0}, {"0": 0.7, "1": 0.2}
    gain = interval(difference(a, b), dict.fromkeys(a, ""), None)
    assert gain.mean == pytest.approx(0.2) and gain.low == pytest.approx(0.2) and gain.sign == 1


def test_categories_weigh_what_the_benchmark_says():
    values, category = {"0": 1.0, "1": 1.0, "2": 1.0, "3": 0.0}, {"0": "a", "1": "a", "2": "a", "3": "b"}
    assert interval(values, category, None).mean == 0.75
    assert interval(values, category, {"a": 0.5, "b": 0.5, "not there": 2.0}).mean == 0.5
