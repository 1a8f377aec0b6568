"""Random weights from repeated blocks: like those that torch draws, and the same from the same seed."""

from __future__ import annotations

import pytest
import torch

from bench.worker.workloads import random_weights

SHAPE = (768, 3072)


def layer(seed: int = 0) -> torch.nn.Linear:
    torch.manual_seed(seed)
    with random_weights.repeated():
        return torch.nn.Linear(SHAPE[1], SHAPE[0])


def test_a_large_layer_has_the_distribution_that_torch_draws() -> None:
    weights = layer().weight.detach()
    bound = SHAPE[1] ** -0.5
    assert weights.abs().max() <= bound
    assert float(weights.std()) == pytest.approx(bound / 3**0.5, rel=0.01)
    assert abs(float(weights.mean())) < 0.01 * bound


def test_normal_and_truncated_ones_too() -> None:
    torch.manual_seed(0)
    with random_weights.repeated():
        normal = torch.nn.init.normal_(torch.empty(SHAPE), 1.0, 0.02)
        truncated = torch.nn.init.trunc_normal_(torch.empty(SHAPE), std=0.02, a=-0.04, b=0.04)
    assert (float(normal.mean()), float(normal.std())) == pytest.approx((1.0, 0.02), rel=0.01)
    assert truncated.abs().max() <= 0.04
    assert float(truncated.std()) == pytest.approx(0.0176, rel=0.02)


def test_no_two_rows_are_alike_and_the_matrix_has_full_rank() -> None:
    weights = torch.nn.functional.normalize(layer().weight.detach())
    products = weights @ weights.T
    assert float(products.fill_diagonal_(0.0).abs().max()) < 0.15
    assert float(torch.linalg.svdvals(layer().weight.detach())[-1]) > 0.1 * SHAPE[1] ** -0.5


def test_the_seed_decides_and_each_parameter_has_values_of_its_own() -> None:
    assert torch.equal(layer().weight, layer().weight)
    assert not torch.equal(layer().weight, layer(1).weight)
    torch.manual_seed(0)
    with random_weights.repeated():
        first, second = torch.nn.Linear(1000, 1000), torch.nn.Linear(1000, 1000)
    assert not torch.equal(first.weight, second.weight)


def test_small_parameters_are_drawn_by_torch() -> None:
    torch.manual_seed(0)
    with random_weights.repeated():
        drawn = torch.nn.Linear(64, 64)
    torch.manual_seed(0)
    assert torch.equal(drawn.weight, torch.nn.Linear(64, 64).weight)


def test_a_generator_and_a_layout_that_is_not_contiguous_are_left_to_torch() -> None:
    with random_weights.repeated():
        drawn = torch.empty(SHAPE).uniform_(generator=torch.Generator().manual_seed(3))
        transposed = torch.zeros(SHAPE).T.normal_()
    assert torch.equal(drawn, torch.empty(SHAPE).uniform_(generator=torch.Generator().manual_seed(3)))
    assert float(transposed.std()) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(("backend", "threads"), [("OpenMP", [1, 5]), ("native thread pool", [])])
def test_one_thread_works_where_their_number_can_be_changed_again(
    monkeypatch: pytest.MonkeyPatch, backend: str, threads: list[int]
) -> None:
    changes: list[int] = []
    monkeypatch.setattr(torch.__config__, "parallel_info", lambda: f"ATen parallel backend: {backend}\n")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(torch, "set_num_threads", changes.append)
    with random_weights.repeated():
        pass
    assert changes == threads


def test_torch_is_as_before_even_after_an_error() -> None:
    before, threads = torch.Tensor.normal_, torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), random_weights.repeated():
        raise ZeroDivisionError
    assert torch.Tensor.normal_ is before and "normal_" not in vars(torch.Tensor)
    assert torch.get_num_threads() == threads
