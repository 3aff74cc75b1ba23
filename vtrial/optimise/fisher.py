r"""Population Fisher information of a design, and the times that make it largest.

To first order around random effects of zero (FO) the measurements of one subject are
normal with mean $f$ and variance

$$ V = G\,\Omega\,G^T + \Sigma, \qquad F = \partial f/\partial\beta, \quad
   G = \partial f/\partial\eta, $$

with $\Sigma$ the variances of the residual error. The information about the population
parameters $\beta$ and the variances $\lambda$ is block diagonal if one leaves out how
$V$ goes with $\beta$ (`reduced`),

$$ A = F^T V^{-1} F, \qquad
   B_{ij} = \tfrac12 \operatorname{tr}\left(V^{-1}
   \frac{\partial V}{\partial\lambda_i} V^{-1}
   \frac{\partial V}{\partial\lambda_j}\right), $$

and with that (`full`) $A$ has the same trace over $\beta$, too, and there are cross
terms. Groups of subjects add up.

References
----------
Mentré F, Mallet A, Baccar D (1997) Biometrika 84:429-442.
Bazzoli C, Retout S, Mentré F (2009) Stat Med 28:1940-1956.
Nyberg J et al. (2015) Br J Clin Pharmacol 79:6-17 (software compared).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from vtrial.dosing.doses import AFTER_DOSE, Doses, no_doses
from vtrial.dosing.doses import times as times_at
from vtrial.dosing.expansion import expand
from vtrial.dosing.schedule import schedule_of
from vtrial.dosing.words import parse_regimen
from vtrial.errors import Fault, ModelError
from vtrial.model.model import Model
from vtrial.protocol.sampling import Form, Group
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.solver.program import Program, compile_program
from vtrial.types import Numerics

FINE = Numerics(rtol=1e-9, atol=1e-12)


class Information(NamedTuple):
    """What a design tells of the parameters.

    Fields
    ------
    names
        Population parameters, then variances of random effects (`omega CL`) and of
        residual errors (`conc proportional`, `conc additive`).
    values
        Their values; of variances, these.
    matrix
        Expected Fisher information.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, " parameter"]
    matrix: Float[np.ndarray, "parameter parameter"]

    @property
    def log_determinant(self) -> float:
        """Logarithm of the determinant: what D-optimal designs make largest."""
        sign, size = np.linalg.slogdet(self.matrix)
        return float(size) if sign > 0 else -math.inf

    @property
    def table(self) -> pd.DataFrame:
        """Standard errors and relative ones [%] by the inverse (Cramér and Rao)."""
        error = np.sqrt(np.diag(np.linalg.inv(self.matrix)))
        columns = {"parameter": self.names, "value": self.values, "se": error}
        return pd.DataFrame(columns | {"rse": 100 * error / np.abs(self.values)})


class Rows(NamedTuple):
    """Predictions at times, and their derivatives.

    Fields
    ------
    mean, by_parameter, by_effect
        f, F and G.
    by_both
        (row, effect, parameter) How G goes with the parameters.
    output
        Which output each row is of.
    """

    mean: Float[np.ndarray, " row"]
    by_parameter: Float[np.ndarray, "row parameter"]
    by_effect: Float[np.ndarray, "row effect"]
    by_both: Float[np.ndarray, "row effect parameter"]
    output: np.ndarray


def information(
    model: Model,
    groups: Sequence[Group],
    *,
    known: Sequence[str] = (),
    form: Form = "reduced",
) -> Information:
    """Return the expected information of a design about a model's parameters.

    Parameters
    ----------
    groups
        Who is dosed and measured how.
    known
        Parameters that are not estimated; those of value 0 are not, either.
    form
        Whether what the variance tells of the population parameters is left out.

    Raises
    ------
    ModelError
        If a parameter or output is unknown, or a residual error is neither additive nor
        proportional.
    """
    asked = Asked(model, estimated(model, known))
    total = np.zeros((len(asked.names), len(asked.names)))
    for group in groups:
        check_group(model, group)
        rows = rows_of(model, group, asked.parameters, form)
        total += group.subjects * asked.of(rows, form)
    return Information(asked.names, asked.values, total)


class Asked:
    """The parameters that are estimated, and the information about them."""

    def __init__(self, model: Model, parameters: tuple[str, ...]) -> None:
        self.model, self.parameters = model, parameters
        typical = model.typical()
        self.omega, self.pairs = omega_of(model)
        self.errors = [
            (place, kind, float(getattr(output.error, kind)))
            for place, output in enumerate(model.outputs)
            for kind in ("proportional", "additive")
            if getattr(output.error, kind)
        ]
        effects = [name.removeprefix("eta.") for name in model.etas]
        named = [
            f"omega {effects[i]}" + (f" {effects[j]}" if i != j else "")
            for i, j in self.pairs
        ]
        outputs = [output.name for output in model.outputs]
        named += [f"{outputs[place]} {kind}" for place, kind, _ in self.errors]
        self.names = (*parameters, *named)
        self.values = np.array(
            [
                *(typical[name] for name in parameters),
                *(self.omega[i, j] for i, j in self.pairs),
                *(size**2 for *_, size in self.errors),
            ]
        )

    def of(self, rows: Rows, form: Form) -> Float[np.ndarray, "parameter parameter"]:
        """Return the information of one subject."""
        count = rows.mean.size
        residual = np.zeros(count)
        slopes = []
        for place, kind, size in self.errors:
            power = rows.mean**2 if kind == "proportional" else np.ones(count)
            power = np.where(rows.output == place, power, 0.0)
            residual += size**2 * power
            slopes.append(np.diag(power))
        whole = rows.by_effect @ self.omega @ rows.by_effect.T + np.diag(residual)
        changes = [self._by_pair(rows, i, j) for i, j in self.pairs] + slopes
        inverse = np.linalg.inv(whole)
        moved = [inverse @ change for change in changes]
        first = len(self.parameters)
        found = np.zeros((len(self.names), len(self.names)))
        found[:first, :first] = rows.by_parameter.T @ inverse @ rows.by_parameter
        if form == "full":
            own = [inverse @ one for one in self._by_parameters(rows)]
            moved = [*own, *moved]
        begin = 0 if form == "full" else first
        size = len(self.names) - begin
        traces = np.array([[0.5 * np.sum(a * b.T) for b in moved] for a in moved])
        found[begin:, begin:] += traces.reshape(size, size)
        return found

    def _by_pair(self, rows: Rows, i: int, j: int) -> np.ndarray:
        """Return how the variance goes with one element of Omega."""
        outer = np.outer(rows.by_effect[:, i], rows.by_effect[:, j])
        return outer if i == j else outer + outer.T

    def _by_parameters(self, rows: Rows) -> list[np.ndarray]:
        """Return how the variance goes with each population parameter."""
        found = []
        for place in range(len(self.parameters)):
            half = rows.by_both[:, :, place] @ self.omega @ rows.by_effect.T
            change = half + half.T
            rise = 2 * rows.mean * rows.by_parameter[:, place]
            for output, kind, size in self.errors:
                if kind == "proportional":
                    part = np.where(rows.output == output, size**2 * rise, 0.0)
                    change = change + np.diag(part)
            found.append(change)
        return found


class Laid(NamedTuple):
    """A group as the solver takes it.

    Fields
    ------
    program, doses
        What is solved for one subject.
    typical
        Values of parameters and covariates.
    line
        [h] Sorted times.
    place, output
        Of each row: which of the times it is at, and which output it is of.
    """

    program: Program
    doses: Doses
    typical: dict[str, float]
    line: Float[np.ndarray, " row"]
    place: Int[np.ndarray, " row"]
    output: Int[np.ndarray, " row"]


def laid_out(model: Model, group: Group) -> Laid:
    """Lay a group out for the solver: rows by output, then by time."""
    typical = {**model.typical(), **(group.covariates or {})}
    regimen = parse_regimen(group.dose, model=model) if group.dose else None
    doses = no_doses()
    if regimen is not None:
        needed = {name: jnp.full(1, typical[name]) for name in regimen.needs}
        doses = expand(regimen, needed)
    program = compile_program(model, schedule_of(regimen), FINE)
    order = [output.name for output in model.outputs]
    names = [name for name in group.times if len(group.times[name])]
    line = np.concatenate([np.sort(np.array(group.times[n], float)) for n in names])
    output = np.concatenate(
        [np.full(len(group.times[name]), order.index(name)) for name in names]
    )
    sort = np.argsort(line, kind="stable")
    place = np.argsort(sort, kind="stable")
    return Laid(program, doses, typical, line[sort], place, output)


def rows_of(
    model: Model, group: Group, parameters: tuple[str, ...], form: Form
) -> Rows:
    """Return predictions at a group's times, and their derivatives.

    How slopes go with the parameters is left zero where the form does not ask for it.
    """
    laid = laid_out(model, group)
    beta = jnp.asarray(np.array([laid.typical[name] for name in parameters], float))
    eta = jnp.zeros(len(model.etas))
    given = {n: jnp.asarray(float(value)) for n, value in laid.typical.items()}
    go = _derived(laid.program, parameters, form)
    found = go(beta, eta, given, laid.doses, laid.line, laid.place, laid.output)
    mean, by_parameter, by_effect, by_both = map(np.asarray, found)
    return Rows(mean, by_parameter, by_effect, by_both, laid.output)


def seen(
    program: Program,
    inputs: Mapping[str, Array],
    doses: Doses,
    line: Float[Array, " row"],
    place: Int[Array, " row"],
    output: Int[Array, " row"],
) -> Float[Array, " row"]:
    """Return the predictions of rows."""
    path = program.solve(dict(inputs), doses, times_at(line, rank=AFTER_DOSE))
    every = jnp.stack([path.outputs[one.name][0] for one in program.model.outputs])
    return every[output, place]


@functools.lru_cache(maxsize=64)
def _derived(program: Program, parameters: tuple[str, ...], form: Form) -> Any:
    """Compile predictions and derivatives; times, doses and values are data."""
    model = program.model

    def mean(
        beta: Float[Array, " parameter"],
        eta: Float[Array, " effect"],
        typical: dict[str, Array],
        doses: Doses,
        line: Float[Array, " row"],
        place: Int[Array, " row"],
        output: Int[Array, " row"],
    ) -> Float[Array, " row"]:
        inputs = typical | {name: beta[k] for k, name in enumerate(parameters)}
        inputs |= {name: eta[k] for k, name in enumerate(model.etas)}
        return seen(program, inputs, doses, line, place, output)

    by_effect = jax.jacfwd(mean, 1)

    def find(*given: Any) -> tuple[Array, ...]:
        effects = by_effect(*given)
        if form == "full":
            both = jax.jacfwd(by_effect)(*given)
        else:
            both = jnp.zeros((*effects.shape, given[0].size))
        return mean(*given), jax.jacfwd(mean)(*given), effects, both

    return jax.jit(find)


@functools.lru_cache(maxsize=64)
def omega_of(model: Model) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """Return the variances of the random effects, and which elements are estimated."""
    count = len(model.etas)
    found = np.zeros((count, count))
    begin = 0
    for block in model.random:
        size = len(block.names)
        found[begin : begin + size, begin : begin + size] = np.array(block.covariance)
        begin += size
    rows, columns = np.nonzero(np.tril(found))
    pairs = tuple(zip(rows.tolist(), columns.tolist(), strict=True))
    return found, tuple(sorted(pairs, key=lambda one: (one[0] != one[1], one)))


def estimated(model: Model, known: Sequence[str]) -> tuple[str, ...]:
    """Name the parameters that are estimated; refuse unknown names."""
    names = [one.name for one in model.parameters]
    faults = [
        Fault(
            "known",
            f"`{name}`, an unknown parameter",
            f"a parameter of {model.name}: {listed(names, like=name)}",
            nearest(name, names),
        )
        for name in known
        if name not in names
    ]
    for output in model.outputs:
        if output.error.law != "normal" or output.error.spread:
            found = f"an error of {output.name} that is neither"
            allowed = "additive, proportional or both, for information to first order"
            faults.append(Fault(f"outputs.{output.name}.error", found, allowed, ""))
    raise_faults(ModelError, faults)
    return tuple(
        one.name for one in model.parameters if one.name not in known and one.value
    )


def check_group(model: Model, group: Group) -> None:
    """Refuse unknown outputs, those without an error, and times that are none."""
    outputs = [output.name for output in model.outputs]
    faults = []
    for output in model.outputs:
        sure = not (output.error.additive or output.error.proportional)
        if sure and group.times.get(output.name):
            allowed = "additive, proportional or both, where it is measured"
            at = f"outputs.{output.name}.error"
            faults.append(Fault(at, "zero", allowed, ""))
    for name, found in group.times.items():
        if name not in outputs:
            allowed = f"an output of {model.name}: {listed(outputs, like=name)}"
            write = nearest(name, outputs)
            faults.append(Fault("times", f"`{name}`, unknown", allowed, write))
        if any(not math.isfinite(t) or t < 0 for t in found):
            said = f"{[float(t) for t in found]}"
            faults.append(Fault(f"times.{name}", said, "times from 0 on [h]", ""))
    if group.subjects < 1:
        faults.append(Fault("subjects", f"{group.subjects}", "1 or more", ""))
    raise_faults(ModelError, faults)
