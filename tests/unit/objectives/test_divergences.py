"""The f-divergences' pieces agree with each other and stay finite;
the game that is made of them.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.objectives.divergences import Divergence, Jeffrey
from pushforward.objectives.games import FGAN, Game, Minimax, NonSaturating
from pushforward.objectives.stable_logs import log_lambert

NAMES = sorted(Divergence.members)
PIECES = [
    (name, piece)
    for name in NAMES
    for piece in ("activation", "composed", "best", "best_conjugate", "conjugate", "f")
]
numbers = st.floats(-30, 30)


def a(name: str) -> Divergence:
    return read(Divergence, name)


def of(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(v=numbers)
def test_the_activation_stays_where_the_conjugate_is_finite(name: str, v: float) -> None:
    t = a(name).activation(of(v))
    assert t <= a(name).top
    assert a(name).conjugate(t).isfinite()


@pytest.mark.parametrize("name", [n for n in NAMES if a(n).top < math.inf])
def test_the_conjugate_is_infinite_above_its_top_and_its_slope_zero(name: str) -> None:
    t = (a(name).top + torch.tensor([0.01, 1.0, 50.0])).requires_grad_()
    value = a(name).conjugate(t)
    assert (value == math.inf).all()
    value.sum().backward()
    assert t.grad is not None
    assert (t.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(v=st.floats(-12, 12))
def test_the_composed_form_is_the_composition(name: str, v: float) -> None:
    x = of(v).requires_grad_()
    simple, composed = a(name).composed(x), a(name).conjugate(a(name).activation(x))
    torch.testing.assert_close(simple, composed, rtol=1e-7, atol=1e-9)
    slopes = [torch.autograd.grad(y, x)[0] for y in (simple, composed)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(h=st.floats(-12, 12), v=st.floats(-12, 12))
def test_young_and_fenchel(name: str, h: float, v: float) -> None:
    """f*(t) ≥ u t - f(u) for every t and u, with equality at t = f'(u)."""
    u = of(h).exp()
    t = a(name).activation(of(v))
    scale = 1 + float(u) * (1 + abs(float(t))) + abs(float(a(name).f(u)))
    assert float(a(name).composed(of(v)) - (u * t - a(name).f(u))) >= -1e-12 * scale
    gap = a(name).best_conjugate(of(h)) - (u * a(name).best(of(h)) - a(name).f(u))
    assert abs(float(gap)) <= 1e-12 * (scale + abs(float(u * a(name).best(of(h)))))


@pytest.mark.parametrize("name", NAMES)
def test_the_activation_rises(name: str) -> None:
    t = a(name).activation(torch.linspace(-12, 12, 500, dtype=torch.float64))
    assert (t.diff() > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "piece"), PIECES)
def test_finite_over_wide_ranges(name: str, piece: str, dtype: torch.dtype) -> None:
    if piece == "f":
        x = torch.logspace(-12, 12, 2001, dtype=dtype)
    else:
        x = torch.linspace(
            -40 if "best" in piece else -80, 40 if "best" in piece else 80, 2001, dtype=dtype
        )
    if piece == "conjugate":
        x = x[x < a(name).top - 1e-3]
    x.requires_grad_()
    y = getattr(a(name), piece)(x)
    assert y.dtype == dtype
    assert y.isfinite().all()
    if y.requires_grad:
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert slope.isfinite().all()


@pytest.mark.parametrize(("name", "piece"), PIECES)
def test_gradients_are_right(name: str, piece: str) -> None:
    if name == "total_variation" and piece in ("best", "best_conjugate"):
        pytest.skip("a sign has no slope")
    x = torch.tensor([-4.1, -1.7, -0.8, -0.45, 0.3, 0.45, 2.2, 5.0], dtype=torch.float64)
    x = x.exp() if piece == "f" else x[x < a(name).top] if piece == "conjugate" else x
    x.requires_grad_()
    assert torch.autograd.gradcheck(getattr(a(name), piece), (x,))
    assert torch.autograd.gradgradcheck(getattr(a(name), piece), (x,))


@settings(deadline=None)
@given(s=st.floats(-700, 1e6))
def test_lambert_in_the_log_domain(s: float) -> None:
    y = log_lambert(of(s))
    assert float(y.exp() + y) == pytest.approx(s, rel=1e-13, abs=1e-13)


def test_lambert_at_known_points_and_its_slope() -> None:
    """W(e) = 1, W(1) = the omega constant, W(e^s) → s - ln s."""
    y = log_lambert(torch.tensor([1.0, 0.0, 1e30, -1e4], dtype=torch.float64))
    assert y.exp()[:2].tolist() == pytest.approx([1.0, 0.5671432904097838], abs=1e-15)
    assert float(y[2]) == pytest.approx(math.log(1e30 - math.log(1e30)), rel=1e-12)
    assert float(y[3]) == -1e4
    s = torch.linspace(-20, 20, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(log_lambert, (s,))
    assert torch.autograd.gradgradcheck(log_lambert, (s,))


def test_jeffrey_far_out_in_float32() -> None:
    """Where e^(1-t) is infinite in float32: f*(t) → t + ln(-t) …, and the slope u = 1/W."""
    t = torch.tensor([-1000.0, -1e5], requires_grad=True)
    y = Jeffrey().conjugate(t)
    wide = Jeffrey().conjugate(t.detach().double())
    torch.testing.assert_close(y.detach().double(), wide, rtol=1e-6, atol=0)
    (slope,) = torch.autograd.grad(y.sum(), t)
    assert slope.tolist() == pytest.approx(
        [1 / (1001 - math.log(1001 - math.log(1001))), 1 / (1e5 - math.log(1e5))], rel=1e-4
    )


def test_a_nan_is_not_hidden() -> None:
    for name in NAMES:
        assert a(name).conjugate(torch.tensor(math.nan)).isnan()


# ----------------------------------------------------------------------------------------- the game

REAL = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64)
FAKE = torch.tensor([-0.7, 1.5, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_the_game_plays_the_bound(name: str) -> None:
    game = read(Game, f"fgan(divergence='{name}')")
    assert isinstance(game, FGAN)
    g, star = a(name).activation, a(name).conjugate
    torch.testing.assert_close(game.critic(REAL, FAKE), star(g(FAKE)) - g(REAL))
    torch.testing.assert_close(game.generator(FAKE, REAL), -star(g(FAKE)))
    torch.testing.assert_close(game.replace(non_saturating=True).generator(FAKE, REAL), -g(FAKE))
    assert float(g(of(game.boundary))) == pytest.approx(a(name).threshold, abs=1e-15)


def test_the_gan_divergence_is_the_original_game() -> None:
    game = FGAN("gan")
    torch.testing.assert_close(game.critic(REAL, FAKE), Minimax().critic(REAL, FAKE))
    torch.testing.assert_close(game.generator(FAKE, REAL), Minimax().generator(FAKE, REAL))
    torch.testing.assert_close(
        game.replace(non_saturating=True).generator(FAKE, REAL),
        NonSaturating().generator(FAKE, REAL),
    )


def test_texts() -> None:
    assert str(FGAN("js")) == "fgan(divergence='js')"
    assert str(FGAN()) == "fgan"
    assert FGAN(a("js")) == FGAN("js") == read(Game, "fgan('js')") == read(Game, str(FGAN("js")))
    assert read(Game, "fgan(divergence='pearson', non_saturating=True)") == FGAN("pearson", True)
    assert hash(FGAN("js")) == hash(FGAN(a("js")))
    with pytest.raises(InvalidValue, match="did you mean 'pearson'"):
        read(Game, "fgan(divergence='person')")


@pytest.mark.parametrize("name", NAMES)
def test_on_a_line_a_divergence_equals_its_best_bound(name: str) -> None:
    at = torch.linspace(-12, 13, 20_001, dtype=torch.float64)
    log_p, log_q = (torch.distributions.Normal(m, 1.0).log_prob(at) for m in (0.0, 1.0))
    f = a(name)
    value = float(f.between(log_p, log_q, at))
    assert float(f.best_bound(log_p, log_q, at)) == pytest.approx(value, rel=1e-6)
    exact = {"kl": 0.5, "reverse_kl": 0.5, "pearson": math.e - 1, "neyman": math.e - 1}
    if name in exact:
        assert value == pytest.approx(exact[name], rel=1e-6)
