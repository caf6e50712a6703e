"""Clusters against labels, by hand."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.metrics.clusters import purity

CLUSTERS = torch.tensor([7, 7, 7, 3, 3, 3, 9, 9])
LABELS = torch.tensor([0, 0, 1, 0, 0, 2, 1, 1])


def test_purity_is_the_share_of_each_clusters_largest_label() -> None:
    found = purity(CLUSTERS, LABELS)
    assert (found.quantity, found.value, found.n) == ("purity", 6 / 8, 8)
    assert found.error == pytest.approx((6 / 8 * 2 / 8 / 7) ** 0.5)
    assert found.details["matching"] == {"7": 0, "3": 0, "9": 1}
    assert found.details["largest"] == 0.5


def test_matched_one_to_one_a_label_is_given_once() -> None:
    found = purity(CLUSTERS, LABELS, matched=True)
    assert (found.quantity, found.value) == ("matched_accuracy", 5 / 8)
    assert found.details["matching"] == {"7": 0, "3": 2, "9": 1}


def test_a_cluster_too_many_is_all_wrong_when_matched() -> None:
    labels = torch.zeros(6, dtype=torch.int64)
    clusters = torch.tensor([0, 0, 0, 0, 1, 1])
    assert purity(clusters, labels).value == 1
    assert purity(clusters, labels, matched=True).value == pytest.approx(4 / 6)


def test_names_of_clusters_do_not_matter() -> None:
    renamed = torch.tensor([4, 0, 2])[LABELS]
    assert purity(renamed, LABELS, matched=True).value == 1


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="one entry per row"):
        purity(CLUSTERS, LABELS[:5])
