"""What two views share: exact where categories are sure, by hand where they are not."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.objectives.views import shared_information


def test_sure_and_equal_categories_share_their_entropy() -> None:
    logits = 100 * torch.nn.functional.one_hot(torch.arange(12) % 4, 4).double()
    assert shared_information(logits, logits).tolist() == pytest.approx([math.log(4)] * 12)


def test_what_does_not_depend_on_the_row_is_not_shared() -> None:
    one = torch.tensor([0.3, -1.0, 2.0]).expand(7, 3)
    assert shared_information(one, torch.randn(7, 3)).mean() <= 0
    assert shared_information(one, one).tolist() == pytest.approx([0.0] * 7, abs=1e-6)


def test_other_categories_in_either_view_share_less_than_nothing() -> None:
    same = 100 * torch.nn.functional.one_hot(torch.arange(6) % 3, 3).double()
    assert float(shared_information(same, same.roll(1, 0)).mean()) < -50


def test_two_rows_by_hand() -> None:
    p, q = (
        torch.tensor([[0.9, 0.1], [0.4, 0.6]]).double(),
        torch.tensor([[0.7, 0.3], [0.2, 0.8]]).double(),
    )
    both = p @ q.T
    expected = [
        math.log(both[i, i]) - (math.log(both[i].mean()) + math.log(both[:, i].mean())) / 2
        for i in range(2)
    ]
    assert shared_information(p.log(), q.log()).tolist() == pytest.approx(expected)
    assert shared_information(q.log(), p.log()).tolist() == pytest.approx(expected)
