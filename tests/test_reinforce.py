import math

import pytest
import torch

from milr_core import SearchSettings
from milr_core import latents as lat
from milr_core.janus.decode import guided
from milr_core.search import baseline
from milr_core.search import reinforce as step


def moved(z, head, tokens, advantage, lr=0.01):
    group = lat.resize(None, z, 1.0, "prefix", 0)
    return step(group, lambda values: values @ head.T, tokens, advantage, lr)


def test_the_gradient_is_the_hand_computed_one():
    """d loss / d logits = -(R - b) * (onehot - p), summed over tokens; through a linear head, times its weight."""
    torch.manual_seed(0)
    z, head, tokens = torch.randn(3, 4), torch.randn(5, 4), torch.tensor([1, 4, 0])
    onehot = torch.nn.functional.one_hot(tokens, 5).float()
    by_hand = -(0.25 - 1) * (onehot - torch.softmax(z @ head.T, -1)) @ head
    after, (gradient_norm, update_norm) = moved(z, head, tokens, 0.25 - 1)
    assert gradient_norm == pytest.approx(by_hand.norm().item(), rel=1e-5)
    torch.testing.assert_close(after.values, z - 0.01 * by_hand.sign(), atol=1e-5, rtol=0)  # Adam's first step
    assert update_norm == pytest.approx((after.values - z).norm().item())


def test_latents_whose_token_was_not_reached_stay():
    torch.manual_seed(0)
    z, head = torch.randn(3, 4), torch.randn(5, 4)
    after, *_ = moved(z, head, torch.tensor([1, 4]), -0.5)
    assert torch.equal(after.values[2], z[2]) and not torch.equal(after.values[:2], z[:2])


def test_a_low_score_makes_the_decoded_tokens_less_likely():
    torch.manual_seed(0)
    z, head, tokens = torch.randn(2, 8), torch.randn(6, 8), torch.tensor([2, 3])
    before = lat.log_probability(z @ head.T, tokens)
    for value, wanted in ((0.1, -1), (1.0, 0)):
        advantage = value - baseline(SearchSettings(), [value])
        after = lat.log_probability(moved(z, head, tokens, advantage)[0].values @ head.T, tokens)
        assert torch.sign(after - before) == wanted


@pytest.mark.parametrize(("name", "expected"), [("one", 1.0), ("zero", 0.0), ("running", 0.5)])
def test_baselines(name, expected):
    assert baseline(SearchSettings(baseline=name), [0.75, 0.25]) == pytest.approx(expected)


def test_guidance_formula_and_weight_one_is_the_conditional_row():
    logits = torch.tensor([[[1.0, 2.0], [0.0, 4.0]]])
    assert guided(logits, 5).tolist() == [[0 + 5 * 1.0, 4 + 5 * -2.0]]
    assert torch.equal(guided(logits, 1), logits[:, 0])


def test_log_probability_is_a_sum_of_logs():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    assert lat.log_probability(logits, torch.tensor([0, 2])).item() == pytest.approx(math.log(0.5 * 0.8))
