"""CTGAN: a conditional GAN for tables with continuous and categorical columns.

c ~ a category of a categorical column (`category_conditions`), z ~ N(0, I)
g(z, c) -> [tanh | gumbel-softmax …]        a row in the coordinates of `mode_encoding`
critic: packs of 10 rows with their c       Wasserstein, gradient penalty
generator: its loss + H(c, g(z, c))         the cross-entropy of the category asked for
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, require_positive, suggest
from pushforward.core.fitter import Symptom
from pushforward.core.modes import evaluation_mode
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.core.registry import read, register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.models.deep.vital_signs import UNIFORM, distances
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.tabular.category_conditions import CategoryConditions
from pushforward.models.tabular.encoded import EncodedTable
from pushforward.nets.tables import ConcatenatedResidual, table_critic
from pushforward.objectives.distances import energy_distance
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["CTGAN"]

DRAWN_AT_ONCE = 8192
"""Rows per call of the generator, which bounds the memory of encoded rows."""
DISOBEYED = 0.5
"""Share of samples without the category asked for that means that conditions are not learnt."""
ROUNDS = 20
"""Draws of rows with a given value before the rest is forced to have it."""


@register("ctgan")
class CTGAN(EncodedTable):
    """A conditional GAN of table rows: mixed columns, rare categories, missing values.

    Numbers are encoded by the mode they belong to and their place in it, categories one-hot. In
    training the generator is asked for a category, rare ones more often than they occur, and the
    critic compares with rows that have it. The defaults are the published settings.

    Reference: Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019), Modeling tabular data using
    conditional GAN, https://arxiv.org/abs/1907.00503.

    Args:
        latent: dimension of the noise.
        hidden: units of the generator's layers, each of which keeps its input beside its output.
        critic_hidden: units of the critic's layers.
        modes: most modes of a number.
        packing: rows the critic sees at once (Lin et al. 2018, PacGAN,
            https://arxiv.org/abs/1712.04086).
        temperature: of the Gumbel-softmax, from which one-hot entries are drawn.
        dropout: share of the critic's units that are left out.
        game: the players' losses.
        penalties: on the critic.
        critic_steps: the generator is updated once per `critic_steps` critic updates.

    Example:
        >>> import pandas, pushforward as pf
        >>> table = pandas.DataFrame({"cm": [150., 160., 170., 180.] * 9, "eye": list("bbgh") * 9})
        >>> rows = pf.read(table, types="auto")
        >>> model = pf.CTGAN(hidden=(16,), packing=2).fit(rows, epochs=2, batch=12)
        >>> x = model.sample(3, rng=0, using="given(column='eye', value='g')")
        >>> model.space.export(x)["eye"].tolist()
        ['g', 'g', 'g']
    """

    evaluates_samples: ClassVar[bool] = True
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5, beta2=0.9, decay=1e-6)
    """The optimiser of both players."""
    generator: nn.Module
    critic: nn.Module

    def __init__(
        self,
        latent: int = 128,
        hidden: Sequence[int] = (256, 256),
        critic_hidden: Sequence[int] = (256, 256),
        modes: int = 10,
        packing: int = 10,
        temperature: float = 0.2,
        dropout: float = 0.5,
        game: Game | str = "wasserstein",
        penalties: Sequence[Penalty | str] = ("gradient_penalty(weight=10.0)",),
        critic_steps: int = 1,
    ) -> None:
        super().__init__()
        require_positive(
            latent=latent,
            modes=modes,
            packing=packing,
            temperature=temperature,
            critic_steps=critic_steps,
            **{f"hidden[{i}]": size for i, size in enumerate(hidden)},
            **{f"critic_hidden[{i}]": size for i, size in enumerate(critic_hidden)},
        )
        if not 0 <= dropout < 1:
            raise InvalidValue(f"dropout must lie in [0, 1), got {dropout}; 0.5 is published")
        self.latent, self.hidden, self.critic_hidden = latent, tuple(hidden), tuple(critic_hidden)
        self.modes, self.packing, self.critic_steps = modes, packing, critic_steps
        self.temperature, self.dropout = temperature, dropout
        self.game: Game = read(Game, game)
        self.penalties: tuple[Penalty, ...] = tuple(read(Penalty, p) for p in penalties)
        self.adversary = Adversary(self.game, self.penalties, packing)

    # ------------------------------------------------------------------------------------- networks

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create both networks, and the categories to ask for."""
        self.asked = CategoryConditions(self.scaling.categories)
        (width,), extra = self.event_shape(), self.asked.width + self.conditions.width
        self.generator = ConcatenatedResidual(self.latent + extra, width, self.hidden)
        inputs = self.packing * (width + extra)
        self.critic = table_critic(inputs, self.critic_hidden, self.dropout)
        self.adversary.install(self.critic)

    def prepare(self, source: Source, facts: Facts) -> None:
        """Also count the categories of the training rows."""
        super().prepare(source, facts)
        self.asked.count(source, self._categorical(source.space))

    def row_weights(self, source: Source) -> Tensor | None:
        """Rows are drawn so that rare categories are seen (training by sampling)."""
        if not len(self.asked):
            return None
        return self.asked.row_weights(source, self._categorical(source.space))

    @staticmethod
    def _categorical(space: Space) -> list[int]:
        return [j for j, column in enumerate(space.columns) if column.kind == "categorical"]

    # ------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """The critic first, then the generator."""
        constrain = self._constrain if self.adversary.constrains else None
        critic = Phase("critic", ("critic",), self.critic_loss, self.optimizer, after=constrain)
        player = Phase(
            "generator",
            ("generator",),
            self.generator_loss,
            self.optimizer,
            every=self.critic_steps,
        )
        return [critic, player]

    def _constrain(self, batch: Batch, step: Step) -> None:
        self.adversary.constrain(self.critic)

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The critic's terms on training rows and as many samples under the same conditions."""
        count, batch = len(batch), self._whole_packs(batch)
        real = self.scaling.clip(self.scaling.redraw(batch.x, step.rng))
        asked = self._asked_of(batch.x, step.rng)
        with torch.no_grad():
            fake = self._activate(self._raw(len(batch.x), asked, batch.y, step.rng), step.rng)
        comparison = self.adversary.compare(
            self.critic, self._shown(real, asked, batch.y), self._shown(fake, asked, batch.y), step
        )
        return _first(self.adversary.critic_terms(self.critic, comparison, step), count)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The generator's terms, and the cross-entropy of the category asked for."""
        count, batch = len(batch), self._whole_packs(batch)
        asked = self._draw_asked(len(batch.x), step.rng, logarithmic=True)
        raw = self._raw(len(batch.x), asked, batch.y, step.rng)
        shown = self._shown(self._activate(raw, step.rng), asked, batch.y)
        reference = self._shown(self.scaling.clip(batch.x), asked, batch.y)
        terms = self.adversary.generator_terms(self.critic, shown, step, real=reference)[0]
        if asked is not None:
            terms["condition"] = self.asked.surprise(raw, asked)
        return _first(terms, count)

    def _whole_packs(self, batch: Batch) -> Batch:
        """A batch whose last pack is filled with rows from its start."""
        count = -(-len(batch.x) // self.packing) * self.packing
        if count == len(batch.x):
            return batch
        rows = torch.arange(count, device=batch.x.device) % len(batch.x)
        y, weights = (None if t is None else t[rows] for t in (batch.y, batch.weights))
        return Batch(batch.x[rows], y, weights)

    def _asked_of(self, u: Tensor, rng: Rng) -> Tensor | None:
        """Conditions of training rows; None without categorical columns."""
        return self.asked.of_rows(u, rng).to(u) if len(self.asked) else None

    def _draw_asked(
        self, n: int, rng: Rng, *, logarithmic: bool = False, gaps: bool = True
    ) -> Tensor | None:
        """n random conditions; None without categorical columns."""
        if not len(self.asked):
            return None
        return self.asked.draw(n, rng, logarithmic=logarithmic, gaps=gaps).to(self.floating())

    def _shown(self, u: Tensor, asked: Tensor | None, y: Tensor | None) -> Rows:
        """Rows as the critic sees them: with their conditions, which the penalty covers, too."""
        return Rows(torch.cat([t.flatten(1) for t in (u, asked, y) if t is not None], 1))

    # ------------------------------------------------------------------------------------- sampling

    def _raw(self, n: int, asked: Tensor | None, y: Tensor | None, rng: Rng) -> Tensor:
        """The generator's outputs (n, width) before their activations, for new noise."""
        given = [t.flatten(1) for t in (asked, y) if t is not None]
        z = normal(n, self.latent, rng=rng, like=next(self.generator.parameters()))
        outputs: Tensor = self.generator(z, torch.cat(given, 1) if given else None)
        return outputs

    def _activate(self, raw: Tensor, rng: Rng, *, gaps: bool = True) -> Tensor:
        """α by tanh, one-hot entries by Gumbel-softmax; without `gaps` never 'missing'."""
        stream, parts = generator(rng, raw.device), []
        kind = raw.dtype if self._in_loss else torch.float64  # samples are alike in all types
        noise = uniform(*raw.shape, rng=stream, device=raw.device, dtype=kind)
        gumbel = -(-noise.clamp_min(torch.finfo(kind).tiny).log()).log().to(raw)
        for block in self.scaling.blocks:
            if block.numeric:
                parts.append(raw[:, block.start : block.start + 1].tanh())
            logits = raw[:, block.choices] + gumbel[:, block.choices]
            if block.missing and not gaps and block.count:
                last = torch.zeros_like(logits)
                last[:, -1] = -torch.inf
                logits = logits + last
            parts.append((logits / self.temperature).softmax(1))
        return torch.cat(parts, 1)

    def generate(self, batch: Batch, rng: Rng) -> Tensor:
        """A sample for every row of a batch, in model coordinates, with gaps as in the data."""
        stream = generator(rng, batch.x.device)
        asked = self._draw_asked(len(batch.x), stream)
        return self._activate(self._raw(len(batch.x), asked, batch.y, stream), stream)

    def draw(
        self, n: int, y: Conditioning = None, rng: Rng = None, *, gaps: bool = False
    ) -> Tensor:
        """n new rows (n, d), user's units, their categories asked for as often as they occur.

        With `gaps`, NaN where values would be missing.
        """
        stream = generator(rng, self.device)
        asked = self._draw_asked(n, stream, gaps=gaps)
        return self._drawn(n, asked, self.to_condition(y, n), stream, gaps=gaps)

    def draw_given(
        self, n: int, column: str, value: str, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """n new rows (n, d), user's units, whose categorical `column` is `value`.

        The generator is asked for it, and rows without it are drawn again; what is missing after
        20 rounds gets the value as it is.
        """
        place, category = self._find(column, value)
        axis = self._categorical(self.fitted_space())[place]
        stream, condition = generator(rng, self.device), self.to_condition(y, n)
        rows: Tensor | None = None
        wrong = torch.ones(n, dtype=torch.bool, device=self.device)
        for _ in range(ROUNDS):
            asked = self.asked.one(place, category, n).to(self.floating())
            fresh = self._drawn(n, asked, condition, stream)
            rows = fresh if rows is None else torch.where(wrong[:, None], fresh, rows)
            wrong = rows[:, axis] != category
            if not bool(wrong.any()):
                break
        assert rows is not None
        rows[wrong, axis] = float(category)
        return rows

    def _drawn(
        self,
        n: int,
        asked: Tensor | None,
        y: Tensor | None,
        stream: torch.Generator,
        *,
        gaps: bool = False,
    ) -> Tensor:
        """Rows (n, d) in the user's units under conditions, some at a time."""
        parts = []
        with torch.no_grad(), evaluation_mode(self):
            for start in range(0, max(n, 1), DRAWN_AT_ONCE):
                rows = slice(start, min(start + DRAWN_AT_ONCE, n))
                asked_here, y_here = (None if t is None else t[rows] for t in (asked, y))
                raw = self._raw(rows.stop - start, asked_here, y_here, stream)
                parts.append(self.to_user(self._activate(raw, stream, gaps=gaps)))
        return self.scaling.settle(torch.cat(parts))

    def _find(self, column: str, value: str) -> tuple[int, int]:
        """The place of a category: of its column among the categorical ones, and in that.

        Raises:
            InvalidValue: If there is no such category.
        """
        space = self.fitted_space()
        names = [space.names[j] for j in self._categorical(space)]
        if column not in names:
            near = suggest(column, names) if names else "there is none"
            raise InvalidValue(f"{column!r} is no categorical column; {near}")
        categories = space.columns[space.names.index(column)].categories
        if value not in categories:
            raise InvalidValue(f"{column!r} is never {value!r}; {suggest(value, categories)}")
        return names.index(column), categories.index(value)

    # ---------------------------------------------------------------------------------- how it goes

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the energy distance between as many samples and the held-out rows (a scalar)."""
        return -energy_distance(self.generate(batch, rng), self.scaling.clip(batch.x))

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Diversity and distances of samples, and the share that has the category asked for."""
        stream = generator(rng, batch.x.device)
        found = distances(self.generate(batch, stream), self.scaling.clip(batch.x))
        asked = self._draw_asked(len(batch.x), stream, logarithmic=True)
        if asked is not None:
            u = self._activate(self._raw(len(batch.x), asked, batch.y, stream), stream)
            found["obeyed"] = float(self.asked.obeyed(u, asked).to(torch.float64).mean())
        return found

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Collapsed samples, and conditions that are not learnt."""
        found = []
        if vitals["diversity"] < UNIFORM:
            observed = f"samples are {vitals['diversity']:.0%} as spread out as the data"
            remedy = f"a lower rate, more rows, or {setting('packing', 2 * self.packing)}"
            found.append(Symptom("collapse", observed, remedy))
        if vitals.get("obeyed", 1.0) < DISOBEYED:
            observed = f"{vitals['obeyed']:.0%} of samples have the category asked for"
            found.append(Symptom("conditions are not learnt", observed, "train for more epochs"))
        return found


def _first(terms: Terms, count: int) -> Terms:
    """Terms of the first `count` rows: those that filled the last pack were there already."""
    return Terms(logged=terms.logged, **{name: term[:count] for name, term in terms.items()})
