"""Passes over tiles of squared distances, which are made from products and not stored.

A squared distance is |a|² + |b|² - 2 aᵀb, with aᵀb in float32 and all else in float64.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pushforward.core.compiled import inlined, loop

__all__ = ["count_in_balls", "find_doubtful", "keep_nearest", "keep_nearest_across"]


@inlined
def _insert(
    squares: NDArray[Any], index: NDArray[Any], row: int, square: float, other: int
) -> None:
    """Put a square that is below the last of the row's rising squares in its place."""
    place = squares.shape[1] - 1
    while place > 0 and squares[row, place - 1] > square:
        squares[row, place] = squares[row, place - 1]
        index[row, place] = index[row, place - 1]
        place -= 1
    squares[row, place] = square
    index[row, place] = other


@loop
def keep_nearest(
    products: NDArray[Any],
    norms: NDArray[Any],
    first: int,
    start: int,
    stop: int,
    squares: NDArray[Any],
    index: NDArray[Any],
) -> None:
    """Update the nearest rows of rows `first` + start … stop from those at `first` and later.

    Args:
        products: (b, r - first), of rows first … first + b with rows first … r.
        norms: (r,) squared.
        squares, index: (r, K), rising, of the nearest other rows so far.
    """
    last = squares.shape[1] - 1
    for i in range(start, stop):
        row = first + i
        worst = squares[row, last]
        for j in range(products.shape[1]):
            square = norms[row] + norms[first + j] - 2.0 * float(products[i, j])
            if square < worst and j != i:
                _insert(squares, index, row, square, first + j)
                worst = squares[row, last]


@loop
def keep_nearest_across(
    products: NDArray[Any],
    norms: NDArray[Any],
    first: int,
    start: int,
    stop: int,
    squares: NDArray[Any],
    index: NDArray[Any],
) -> None:
    """Update the nearest rows of columns start … stop of the same products, from their rows.

    The first columns, which are the rows themselves, are left to `keep_nearest`.
    """
    last, rows = squares.shape[1] - 1, products.shape[0]
    for i in range(rows):
        for j in range(rows + start, rows + stop):
            column = first + j
            square = norms[first + i] + norms[column] - 2.0 * float(products[i, j])
            if square < squares[column, last]:
                _insert(squares, index, column, square, first + i)


@loop
def count_in_balls(
    products: NDArray[Any],
    norms: NDArray[Any],
    columns: NDArray[Any],
    start: int,
    stop: int,
    counts: NDArray[Any],
    covered: NDArray[Any],
    own: NDArray[Any],
) -> None:
    """Which points (rows) lie in balls (columns) surely, and how many perhaps.

    Args:
        products: (b, m), of b points with m centres.
        norms: (b, 3) for each point |b|², and squared radii of a ball around it: within the first
            a centre is inside surely, up to the second perhaps.
        columns: (m, 3), the same of the centres and their balls.
        counts: (b, 2) for each point: balls it is in, and balls around centres or itself whose
            side is in doubt.
        covered, own: (m,) whether any point is in the ball; whether the centre is in any ball
            around a point. Threads that share them write the same.
    """
    for i in range(start, stop):
        norm, sure, perhaps = norms[i, 0], norms[i, 1], norms[i, 2]
        inside, doubtful = 0, 0
        for j in range(products.shape[1]):
            square = norm + columns[j, 0] - 2.0 * float(products[i, j])
            if square < columns[j, 1]:
                inside += 1
                covered[j] = True
            elif square <= columns[j, 2]:
                doubtful += 1
            if square < sure:
                own[j] = True
            elif square <= perhaps:
                doubtful += 1
        counts[i, 0] = inside
        counts[i, 1] = doubtful


@loop
def find_doubtful(
    products: NDArray[Any],
    norms: NDArray[Any],
    columns: NDArray[Any],
    counts: NDArray[Any],
    found: NDArray[Any],
) -> None:
    """List the pairs in doubt: (point, centre, 0 for a centre's ball or 1 for a point's) in (p, 3).

    Args:
        products, norms, columns, counts: as in `count_in_balls`, which filled the counts.
        found: (p, 3) int64, with p the sum of the doubtful counts.
    """
    place = 0
    for i in range(len(products)):
        if counts[i, 1] == 0:
            continue
        norm, sure, perhaps = norms[i, 0], norms[i, 1], norms[i, 2]
        for j in range(products.shape[1]):
            square = norm + columns[j, 0] - 2.0 * float(products[i, j])
            if not square < columns[j, 1] and square <= columns[j, 2]:
                found[place, 0], found[place, 1], found[place, 2] = i, j, 0
                place += 1
            if not square < sure and square <= perhaps:
                found[place, 0], found[place, 1], found[place, 2] = i, j, 1
                place += 1
