import math

import pytest
import torch

from milr_core import reinforce
from milr_core.janus.decode import guided


def test_gradient_is_the_hand_computed_one():
    """d loss / d logits = -(value - b) * (onehot - p), summed over tokens; through a linear head, times its weight."""
    torch.manual_seed(0)
    z, head = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    tokens, adv = torch.tensor([1, 4, 0]), reinforce.advantage(0.25, "one", [0.25])
    (gradient,) = torch.autograd.grad(reinforce.loss(reinforce.log_probability(z @ head.T, tokens), adv), z)
    onehot = torch.nn.functional.one_hot(tokens, 5).float()
    by_hand = -(0.25 - 1) * (onehot - torch.softmax(z.detach() @ head.T, -1)) @ head
    torch.testing.assert_close(gradient, by_hand)


def test_low_score_makes_the_decoded_tokens_less_likely():
    torch.manual_seed(0)
    z, head, tokens = torch.randn(2, 8), torch.randn(6, 8), torch.tensor([2, 3])
    before = reinforce.log_probability(z @ head.T, tokens)
    for value, wanted in ((0.1, -1), (1.0, 0)):
        moving = z.clone().requires_grad_()
        loss = reinforce.loss(reinforce.log_probability(moving @ head.T, tokens), reinforce.advantage(value, "one", []))
        (gradient,) = torch.autograd.grad(loss, moving)
        after = reinforce.log_probability((z - 0.01 * gradient) @ head.T, tokens)
        assert torch.sign(after - before) == wanted


@pytest.mark.parametrize(("baseline", "expected"), [("one", -0.75), ("zero", 0.25), ("running", 0.25 - 0.5)])
def test_baselines(baseline, expected):
    assert reinforce.advantage(0.25, baseline, [0.75, 0.25]) == pytest.approx(expected)


def test_guidance_formula_and_weight_one_is_the_conditional_row():
    logits = torch.tensor([[[1.0, 2.0], [0.0, 4.0]]])
    assert guided(logits, 5).tolist() == [[0 + 5 * 1.0, 4 + 5 * -2.0]]
    assert torch.equal(guided(logits, 1), logits[:, 0])


def test_log_probability_is_a_sum_of_logs():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    assert reinforce.log_probability(logits, torch.tensor([0, 2])).item() == pytest.approx(math.log(0.5 * 0.8))
