import pytest
import torch

from milr_core import latents as lat


@pytest.mark.parametrize(
    ("ratio", "total", "expected"),
    [(0.2, 24, 4), (0.02, 36, 1), (0.02, 576, 11), (1.0, 7, 7), (0.3, 10, 3), (0.001, 5, 1)],
)
def test_size_is_max_one_floor(ratio, total, expected):
    assert lat.size(ratio, total) == expected


def test_adam_is_torchs_adam():
    torch.manual_seed(0)
    start = torch.randn(4, 2, 3)
    parameter = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([parameter], lr=0.03)
    group = lat.resize(None, start, 1.0, "prefix", 0)
    for _ in range(5):
        gradient = torch.randn_like(start)
        parameter.grad = gradient.clone()
        optimizer.step()
        group = lat.adam_step(group, gradient, 0.03)
    torch.testing.assert_close(group.values, parameter.detach(), rtol=1e-5, atol=1e-6)


def test_growing_keeps_rows_with_their_moments_and_takes_new_ones_from_the_rollout():
    torch.manual_seed(0)
    first, second = torch.randn(10, 3), torch.randn(10, 3)
    group = lat.adam_step(lat.resize(None, first, 0.3, "prefix", 0), torch.ones(3, 3), 0.1)
    grown = lat.resize(group, second, 0.5, "prefix", 0)
    assert len(grown) == 5 and grown.count.tolist() == [1, 1, 1, 0, 0]
    assert torch.equal(grown.values[:3], group.values) and torch.equal(grown.values[3:], second[3:5])
    assert torch.equal(grown.mean[:3], group.mean) and not grown.mean[3:].any()
    shrunk = lat.resize(grown, second, 0.2, "prefix", 0)
    assert torch.equal(shrunk.values, group.values[:2]) and torch.equal(shrunk.variance, group.variance[:2])


def test_a_rollout_of_another_length_does_not_resize():
    group = lat.resize(None, torch.randn(10, 3), 0.5, "prefix", 0)
    assert lat.resize(group, torch.randn(4, 3), 0.5, "prefix", 0) is group


def test_a_new_row_starts_adam_anew():
    """A row added later moves by lr on its first step, as a new parameter of torch.optim.Adam does."""
    group = lat.resize(None, torch.zeros(4, 1), 0.5, "prefix", 0)
    for _ in range(10):
        group = lat.adam_step(group, torch.full((2, 1), 1e-3), 0.1)
    group = lat.resize(group, torch.zeros(4, 1), 1.0, "prefix", 0)
    moved = lat.adam_step(group, torch.full((4, 1), 5.0), 0.1).values - group.values
    assert moved[2:].flatten().tolist() == pytest.approx([-0.1, -0.1], rel=1e-4)


def test_random_positions_are_a_fixed_choice_that_grows_by_extension():
    few, many = lat.positions("random", 4, 36, 7), lat.positions("random", 9, 36, 7)
    assert set(few.tolist()) <= set(many.tolist()) and len(set(many.tolist())) == 9
    assert many.tolist() == sorted(many.tolist())
    assert not torch.equal(many, lat.positions("random", 9, 36, 8))
    assert lat.positions("prefix", 4, 36, 7).tolist() == [0, 1, 2, 3]
