"""Topological maps of shapes whose pieces and loops are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.latent.topology import TopologicalMap, map_topology


def circle(n: int = 600, noise: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) + noise * rng.normal(size=(n, 2))


def shapes() -> dict[str, tuple[np.ndarray, int, int]]:
    rng = np.random.default_rng(1)
    line = np.stack([rng.uniform(-1, 1, 500), 0.02 * rng.normal(size=500)], 1)
    return {
        "circle": (circle(), 1, 1),
        "line": (line, 1, 0),
        "two circles": (np.concatenate([circle(), circle() + np.array([0, 5.0])]), 2, 2),
    }


@pytest.mark.parametrize("name", shapes())
def test_pieces_and_loops_are_those_of_the_shape(name: str) -> None:
    x, pieces, loops = shapes()[name]
    graph = map_topology(x, x[:, 0], intervals=8)
    assert (graph.pieces(), graph.loops()) == (pieces, loops)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_neither_scale_nor_type_changes_the_map(scale: float, dtype: torch.dtype) -> None:
    x = circle()
    plain = map_topology(x.astype(np.float32), x[:, 0].astype(np.float32), intervals=8)
    scaled = torch.as_tensor(x.astype(np.float32)).to(dtype) * scale
    graph = map_topology(scaled, scaled[:, 0], intervals=8)
    assert graph.edges == plain.edges
    assert [len(rows) for rows in graph.nodes] == [len(rows) for rows in plain.nodes]


def test_an_offset_changes_little() -> None:
    x = circle()
    graph = map_topology(x + 1e6, x[:, 0] + 1e6, intervals=8)
    assert (graph.pieces(), graph.loops()) == (1, 1)


def test_every_row_is_in_a_node_and_neighbours_share_rows() -> None:
    x = circle()
    graph = map_topology(x, x[:, 0], intervals=8, least=1)
    assert set(torch.cat(graph.nodes).tolist()) == set(range(len(x)))
    for a, b in graph.edges:
        assert a < b
        assert set(graph.nodes[a].tolist()) & set(graph.nodes[b].tolist())
    means = graph.means(x)
    assert torch.allclose(means[0], torch.as_tensor(x[graph.nodes[0].numpy()].mean(0)))


def test_without_overlap_nothing_is_joined() -> None:
    x = circle()
    graph = map_topology(x, x[:, 0], intervals=8, overlap=0.0)
    assert not graph.edges
    assert graph.pieces() == len(graph.nodes) > 8


def test_a_lens_of_two_numbers() -> None:
    x = circle()
    graph = map_topology(x, x, intervals=4, overlap=0.5, least=1)
    assert graph.pieces() == 1
    assert set(torch.cat(graph.nodes).tolist()) == set(range(len(x)))


def test_a_single_row_and_ties() -> None:
    one = map_topology(np.zeros((1, 2)), np.zeros(1), least=1)
    assert one.pieces() == 1
    same = map_topology(np.zeros((20, 2)), np.zeros(20))
    assert {len(rows) for rows in same.nodes} == {20}
    assert same.pieces() == 1


def test_a_lattice_is_one_piece() -> None:
    at = np.arange(12.0)
    x = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2) / 3
    assert map_topology(x, x[:, 0], intervals=4).pieces() == 1


def test_pieces_and_loops_of_graphs() -> None:
    rows = tuple(torch.tensor([i]) for i in range(4))
    assert TopologicalMap(rows, ((0, 1), (1, 2), (0, 2))).pieces() == 2
    assert TopologicalMap(rows, ((0, 1), (1, 2), (0, 2))).loops() == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"lens": np.zeros((600, 3))}, ShapeMismatch, "one or two numbers per row, got 3"),
        ({"lens": np.zeros(5)}, ShapeMismatch, "600 rows, but a lens of 5"),
        ({"lens": np.full(600, np.nan)}, InvalidValue, "must be finite"),
        ({"intervals": 0}, InvalidValue, "intervals must be at least 1, got 0"),
        ({"overlap": 1.0}, InvalidValue, "overlap must be from 0 to below 1, got 1.0"),
    ],
)
def test_bad_arguments_are_explained(change: dict, error: type[Exception], words: str) -> None:
    x = circle()
    with pytest.raises(error, match=words):
        map_topology(**{"x": x, "lens": x[:, 0], **change})


def test_rows_that_are_too_many_for_a_cell_are_refused() -> None:
    with pytest.raises(InvalidValue, match="use more intervals"):
        map_topology(np.zeros((5000, 1)), np.arange(5000.0), intervals=1)
