r"""What is estimated, as a vector that may be any numbers, and back.

A parameter above 0 whose uncertainty is on the log scale goes by its logarithm, another
as it is; magnitudes of residual errors by their logarithm. A covariance goes by the
lower triangle L of $\Omega = L L'$, the diagonal by its logarithm: effects of a block
that covary, directly or through others, are estimated with all their covariances;
between others they stay 0.
"""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from vtrial.errors import Fault, FitError
from vtrial.fit.values import SIZES, Values, values_of
from vtrial.model.model import Model
from vtrial.sheets.words import listed, nearest

Kind = Literal["typical", "covariance", "size"]
LEAST = 1e-10  # of a variance, that is left when what others explain is taken off


@dataclass(frozen=True)
class Group:
    """Effects of a block that are estimated together: which block, which effects."""

    block: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Which numbers of a model are estimated, and in which order; hashable.

    Fields
    ------
    typical
        Parameters, and whether each goes by its logarithm.
    groups
        Of random effects.
    sizes
        Output and word of each magnitude of a residual error.
    names
        What each estimate is called, one a number: `tvCL`, `omega(CL,V)`,
        `conc.additive`.
    """

    typical: tuple[tuple[str, bool], ...]
    groups: tuple[Group, ...]
    sizes: tuple[tuple[str, str], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each number is of."""
        first, last = len(self.typical), len(self.sizes)
        middle = len(self) - first - last
        ends = (first, first + middle)
        every = range(first + middle + last)
        return tuple(
            "typical" if i < ends[0] else "covariance" if i < ends[1] else "size"
            for i in every
        )

    def vector(self, values: Values) -> Float[np.ndarray, " estimate"]:
        """Return the vector of population values."""
        found: list[float] = []
        for name, by_log in self.typical:
            value = float(values.typical[name])
            found.append(np.log(value) if by_log else value)
        for group in self.groups:
            lower = np.linalg.cholesky(_part(values, group))
            rows, columns = np.tril_indices(len(group.places))
            for row, column in zip(rows, columns, strict=True):
                entry = lower[row, column]
                found.append(np.log(entry) if row == column else entry)
        found += [np.log(float(values.sizes[o][word])) for o, word in self.sizes]
        return np.array(found, float)

    def values(self, vector: Float[ArrayLike, " estimate"], base: Values) -> Values:
        """Return population values; what is not estimated is that of `base`."""
        vector = jnp.asarray(vector)
        typical, place = dict(base.typical), 0
        for name, by_log in self.typical:
            entry = vector[place]
            typical[name] = jnp.exp(entry) if by_log else entry
            place += 1
        covariances = list(base.covariances)
        for group in self.groups:
            size = len(group.places)
            lower = jnp.zeros((size, size))
            for row, column in zip(*np.tril_indices(size), strict=True):
                entry = vector[place]
                entry = jnp.exp(entry) if row == column else entry
                lower = lower.at[row, column].set(entry)
                place += 1
            index = np.ix_(group.places, group.places)
            own = covariances[group.block].at[index].set(lower @ lower.T)
            covariances[group.block] = own
        sizes = {output: dict(held) for output, held in base.sizes.items()}
        for output, word in self.sizes:
            sizes[output][word] = jnp.exp(vector[place])
            place += 1
        return Values(typical, tuple(covariances), sizes)

    def natural(
        self, vector: Float[ArrayLike, " estimate"], base: Values
    ) -> Float[Array, " estimate"]:
        """Return the estimates in their own units: values, covariances, magnitudes."""
        values = self.values(vector, base)
        found = [values.typical[name] for name, _ in self.typical]
        for group in self.groups:
            part = values.covariances[group.block]
            for row, column in zip(*np.tril_indices(len(group.places)), strict=True):
                found.append(part[group.places[row], group.places[column]])
        found += [values.sizes[output][word] for output, word in self.sizes]
        return jnp.stack(found) if found else jnp.zeros(0)

    def naturals(
        self, vectors: Float[np.ndarray, "draw estimate"], base: Values
    ) -> Float[np.ndarray, "draw estimate"]:
        """Return vectors in their own units, a row each."""
        natural = jax.vmap(functools.partial(self.natural, base=base))
        return np.asarray(natural(jnp.asarray(vectors)))

    def slopes(
        self, vector: Float[np.ndarray, " estimate"], base: Values
    ) -> Float[np.ndarray, "estimate estimate"]:
        """Return how `natural` changes with the vector."""
        slope = jax.jacfwd(functools.partial(self.natural, base=base))
        return np.asarray(slope(jnp.asarray(vector)))


def _part(values: Values, group: Group) -> np.ndarray:
    whole = np.asarray(values.covariances[group.block], float)
    return whole[np.ix_(group.places, group.places)]


def layout_of(model: Model, *, fixed: Collection[str] = ()) -> Layout:
    """Return what of a model is estimated: everything that is not `fixed`.

    `fixed` names parameters (`tvCL`), random effects, whose variances then stay
    (`eta.CL`), and magnitudes of residual errors (`conc.additive`). A variance of 0
    stays 0.

    Raises
    ------
    FitError
        If `fixed` names what is not there, or part of what is estimated together, or
        nothing is left.
    """
    values = values_of(model)
    sizes = [(o, w) for o in values.sizes for w in SIZES if w in values.sizes[o]]
    faults = _unknown(model, fixed, [f"{o}.{w}" for o, w in sizes])
    groups, labels = [], []
    for number, block in enumerate(model.random):
        for places in _together(np.array(block.covariance, float)):
            mine = [block.names[place] for place in places]
            held = [f"eta.{name}" in fixed for name in mine]
            if any(held) and not all(held):
                faults.append(_parted(mine, held))
            if any(held):
                continue
            faults += _singular(np.array(block.covariance, float), places, mine)
            groups.append(Group(number, places))
            for row, column in zip(*np.tril_indices(len(places)), strict=True):
                pair = dict.fromkeys((mine[column], mine[row]))
                labels.append(f"omega({','.join(pair)})")
    typical = [
        (p.name, p.scale == "log" and p.value > 0)
        for p in model.parameters
        if p.name not in fixed
    ]
    sizes = [(o, w) for o, w in sizes if f"{o}.{w}" not in fixed]
    names = [name for name, _ in typical] + labels + [f"{o}.{w}" for o, w in sizes]
    if not names and not faults:
        faults.append(
            Fault("fixed", "all there is", "something less: estimate one", "")
        )
    if faults:
        raise FitError.of(faults)
    return Layout(tuple(typical), tuple(groups), tuple(sizes), tuple(names))


def _together(covariance: np.ndarray) -> list[tuple[int, ...]]:
    """List which effects covary, directly or through others, of those that vary."""
    varies = np.flatnonzero(np.diag(covariance) > 0)
    linked = (covariance != 0).astype(int)
    reach = np.linalg.matrix_power(linked, max(len(covariance), 1)) > 0
    found: dict[tuple[int, ...], None] = {}
    for place in varies:
        found[tuple(int(i) for i in np.flatnonzero(reach[place]))] = None
    return list(found)


def _singular(
    covariance: np.ndarray, places: tuple[int, ...], names: list[str]
) -> list[Fault]:
    """Refuse effects that are others scaled: their triangle has a diagonal of 0."""
    part = covariance[np.ix_(places, places)]
    size = np.sqrt(np.diag(part))
    if np.linalg.eigvalsh(part / np.outer(size, size))[0] > LEAST:
        return []
    allowed = "below 1 in every combination, or fixed"
    found = "of which one is others scaled: a correlation of 1"
    return [Fault(f"random effects {', '.join(names)}", found, allowed, "")]


def _parted(names: list[str], held: list[bool]) -> Fault:
    """Return the fault of fixing a part of effects that covary."""
    free = [name for name, fixed in zip(names, held, strict=True) if not fixed]
    allowed = f"all of those that covary: {', '.join(f'eta.{n}' for n in names)}"
    return Fault("fixed", f"without eta.{free[0]}", allowed, "")


def _unknown(
    model: Model, fixed: Collection[str], sizes: Collection[str]
) -> list[Fault]:
    """Refuse names that are nothing of the model's."""
    known = [*(p.name for p in model.parameters), *model.etas, *sizes]
    return [
        Fault("fixed", f"`{name}`", listed(known, 30, like=name), nearest(name, known))
        for name in fixed
        if name not in known
    ]
