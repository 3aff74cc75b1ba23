r"""How probable a study is, given population values and each person's effects.

With y the values of a subject, f what is predicted and $\eta \sim N(0, \Omega)$ its
random effects, the joint density counts as

$$ L(\eta) = -2 \log p(y \mid \eta) - 2 \log p(\eta). $$

Everything here is a pure function of arrays; what does not change with them is a
`Likelihood`, which is hashable. Row i of every result is of subject i, and depends on
no other.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vtrial.dosing.schedule import observed, schedule_of_doses
from vtrial.fit.study import Data, Study, roomy
from vtrial.fit.values import SIZES, Effects, Values, effects_of
from vtrial.model.model import Covariate, Model, Output, Parameter, RandomBlock
from vtrial.model.residual import density_of, information_of, placed, standing
from vtrial.solver.program import Program, compile_program
from vtrial.solver.request import laid_out, overlaps_of
from vtrial.types import Numerics, Status

LOG_2_PI = float(np.log(2 * np.pi))
TIGHT = Numerics(rtol=1e-8, atol=1e-10)


class Standing(NamedTuple):
    """Where measured values are expected, each (subject, observation).

    Fields
    ------
    predicted
        [the output's unit] Without residual error; NaN where not solved.
    middle, scale
        On the scale of the error's law: see `vtrial.model.residual.standing`.
    sound
        Whether there is such a law.
    """

    predicted: Float[Array, "subject observation"]
    middle: Float[Array, "subject observation"]
    scale: Float[Array, "subject observation"]
    sound: Bool[Array, "subject observation"]


class Look(NamedTuple):
    """A person's density at given effects, and how it changes with them.

    Fields
    ------
    objective
        L, without the constants of observations, n log 2 pi; infinite where it is none.
    gradient, information
        Of L by the effects; the latter is twice the expected information, and that of
        the effects' own law.
    predicted
        [the output's unit] Without residual error; NaN where not solved.
    """

    objective: Float[Array, " subject"]
    gradient: Float[Array, "subject effect"]
    information: Float[Array, "subject effect effect"]
    predicted: Float[Array, "subject observation"]


@dataclass(frozen=True)
class Likelihood:
    """What a study's densities are compiled from; make it with `likelihood_of`."""

    model: Model
    program: Program
    effects: Effects

    def stand(
        self, values: Values, eta: Float[Array, "subject effect"], data: Data
    ) -> Standing:
        """Predict what is observed, and where the errors' laws put it."""
        inputs = dict(values.typical) | dict(data.covariates)
        inputs |= self.effects.inputs(eta, jnp.asarray(data.occasion))
        path = self.program.solve(
            inputs,
            data.doses,
            data.times,
            periods=data.periods,
            begin=data.begin,
        )
        solved = (path.status == Status.SOLVED)[:, None]
        real = jnp.asarray(data.real)
        predicted = jnp.full(real.shape, jnp.nan)
        middle, scale = jnp.zeros(real.shape), jnp.ones(real.shape)
        sound = jnp.zeros(real.shape, bool)
        for number, output in enumerate(self.model.outputs):
            if not output.error.varies:
                continue
            mine = real & (jnp.asarray(data.output) == number)
            own = jnp.where(mine & solved, path.outputs[output.name], jnp.nan)
            asked = {n: path.outputs[n] for n in output.error.computed}
            sizes = values.sizes.get(output.name, {})
            at, off, good = standing(output.error, own, computed=asked, sizes=sizes)
            predicted = jnp.where(mine, own, predicted)
            middle, scale = jnp.where(mine, at, middle), jnp.where(mine, off, scale)
            sound = jnp.where(mine, good, sound)
        return Standing(predicted, middle, scale, sound)

    def density(
        self,
        middle: Float[Array, "subject observation"],
        scale: Float[Array, "subject observation"],
        data: Data,
    ) -> Float[Array, "subject observation"]:
        """Return the log-density of each observation, with its constants; 0 for none.

        One below a limit counts by its log-probability.
        """
        real, below = jnp.asarray(data.real), jnp.asarray(data.below)
        value = jnp.asarray(data.values)
        found = jnp.zeros(real.shape)
        for number, output in enumerate(self.model.outputs):
            if not output.error.varies:
                continue
            mine = real & (jnp.asarray(data.output) == number)
            one = density_of(output.error, middle, scale, value, below=below & mine)
            found = jnp.where(mine, one, found)
        return found

    def placed(self, data: Data) -> Float[Array, "subject observation"]:
        """Return measured values on the scale of their errors' laws."""
        value = jnp.asarray(data.values)
        found = value
        for number, output in enumerate(self.model.outputs):
            mine = jnp.asarray(data.output) == number
            found = jnp.where(mine, placed(output.error, value), found)
        return found

    def information(
        self,
        middle: Float[Array, "subject observation"],
        scale: Float[Array, "subject observation"],
        data: Data,
    ) -> tuple[Float[Array, "subject observation"], ...]:
        """Return what each observation tells of its middle and scale; 0 for none."""
        real, below = jnp.asarray(data.real), jnp.asarray(data.below)
        value, zero = jnp.asarray(data.values), jnp.zeros(real.shape)
        found = (zero, zero, zero)
        for number, output in enumerate(self.model.outputs):
            if not output.error.varies:
                continue
            mine = real & (jnp.asarray(data.output) == number)
            told = information_of(
                output.error, middle, scale, value, below=below & mine
            )
            found = tuple(
                jnp.where(mine, new, old) for new, old in zip(told, found, strict=True)
            )
        return found

    def joint(
        self, values: Values, eta: Float[Array, "subject effect"], data: Data
    ) -> Float[Array, " subject"]:
        """Return L at given effects, with every constant but n log 2 pi of values.

        It is infinite where a value cannot be measured, or nothing could be solved.
        """
        seen = self.stand(values, eta, data)
        return self._joint(seen, self.effects.covariance(values), eta, data)

    def look(
        self, values: Values, eta: Float[Array, "subject effect"], data: Data
    ) -> Look:
        """Return L with its gradient and information, by forward sensitivities."""
        omega = self.effects.covariance(values)
        seen, slopes = self.slopes(values, eta, data)
        objective = self._joint(seen, omega, eta, data)
        inverse = jnp.linalg.inv(omega)

        def total(at: tuple[Array, Array]) -> Array:
            return jnp.sum(self.density(*at, data))

        pulls = jax.grad(total)((seen.middle, seen.scale))
        told = self.information(seen.middle, seen.scale, data)
        by_middle, by_scale = slopes
        gradient = -2.0 * (
            jnp.einsum("so,sok->sk", pulls[0], by_middle)
            + jnp.einsum("so,sok->sk", pulls[1], by_scale)
        )
        gradient = gradient + 2.0 * eta @ inverse
        first, cross, last = told
        mixed = jnp.einsum("so,sok,sol->skl", cross, by_middle, by_scale)
        information = 2.0 * (
            jnp.einsum("so,sok,sol->skl", first, by_middle, by_middle)
            + mixed
            + jnp.swapaxes(mixed, 1, 2)
            + jnp.einsum("so,sok,sol->skl", last, by_scale, by_scale)
            + inverse[None]
        )
        good = jnp.isfinite(objective)
        gradient = jnp.where(good[:, None], gradient, 0.0)
        information = jnp.where(good[:, None, None], information, 2.0 * inverse[None])
        return Look(objective, gradient, information, seen.predicted)

    def slopes(
        self, values: Values, eta: Float[Array, "subject effect"], data: Data
    ) -> tuple[
        Standing,
        tuple[
            Float[Array, "subject observation effect"],
            Float[Array, "subject observation effect"],
        ],
    ]:
        """Return what `stand` gives, and how its middle and scale change by effects.

        A subject depends on its own effects only, so that one direction for all
        subjects follows one effect of each.
        """
        count = len(self.effects)
        axes = jnp.broadcast_to(jnp.eye(count)[:, None, :], (count, *eta.shape))

        def of(
            eta: Float[Array, "subject effect"],
        ) -> tuple[tuple[Array, Array], Standing]:
            seen = self.stand(values, eta, data)
            return (seen.middle, seen.scale), seen

        def along(axis: Array) -> tuple[tuple[Array, Array], Standing]:
            _, change, seen = jax.jvp(of, (eta,), (axis,), has_aux=True)
            return change, seen

        if not count:
            seen = self.stand(values, eta, data)
            none = jnp.zeros((*seen.middle.shape, 0))
            return seen, (none, none)
        change, seen = jax.vmap(along, out_axes=(2, None))(axes)
        sound = seen.sound[:, :, None]
        return seen, (
            jnp.where(sound, change[0], 0.0),
            jnp.where(sound, change[1], 0.0),
        )

    def _joint(
        self,
        seen: Standing,
        omega: Float[Array, "effect effect"],
        eta: Float[Array, "subject effect"],
        data: Data,
    ) -> Float[Array, " subject"]:
        real = jnp.asarray(data.real)
        density = self.density(seen.middle, seen.scale, data)
        constants = jnp.where(real & ~jnp.asarray(data.below), LOG_2_PI, 0.0)
        each = -2.0 * density - constants
        # Student's t and beta have other constants; all are taken off alike.
        good = jnp.where(real, seen.sound & jnp.isfinite(density), True).all(axis=1)
        own = jnp.where(good, jnp.sum(jnp.where(real, each, 0.0), axis=1), jnp.inf)
        return own + self.prior(omega, eta)

    def prior(
        self,
        omega: Float[Array, "effect effect"],
        eta: Float[Array, "subject effect"],
    ) -> Float[Array, " subject"]:
        """Return eta' Omega^-1 eta + log det Omega: -2 log p, without q log 2 pi."""
        _, size = jnp.linalg.slogdet(omega)
        return jnp.einsum("sk,kl,sl->s", eta, jnp.linalg.inv(omega), eta) + size


def likelihood_of(model: Model, study: Study, numerics: Numerics = TIGHT) -> Likelihood:
    """Choose how a study is solved; nothing is compiled yet.

    Raises
    ------
    ModelError
        If no likelihood of the model is known here.
    SolverError
        If the method that `numerics` asks for cannot solve it.
    """
    effects = effects_of(model, study.occasions)
    data, known = study.data, study.model.typical()
    schedule = schedule_of_doses(data.doses)
    if schedule.steady:
        inputs = known | data.covariates
        batch = laid_out(
            study.model,
            inputs,
            data.doses,
            data.times,
            begin=data.begin,
            periods=data.periods,
            start=None,
            until=None,
        )
        # Lag and duration differ between subjects: twice the typical is room enough.
        schedule = replace(schedule, overlaps=2 * overlaps_of(study.model, batch))
    schedule = observed(schedule, data.doses, data.times)
    schedule = replace(schedule, between=roomy(schedule.between or 1))
    program = compile_program(study.model, schedule, numerics)
    program = replace(program, model=without_numbers(study.model))
    return Likelihood(without_numbers(model), program, effects)


def without_numbers(model: Model) -> Model:
    """Return a model with every number that is data set to one.

    What is compiled is then found again for other numbers: a fit compiles once, and so
    do all people whose model it is.
    """
    errors = [
        replace(o.error, **{word: 1.0 for word in SIZES if getattr(o.error, word)})
        for o in model.outputs
    ]
    return replace(
        model,
        name="",
        title="",
        parameters=tuple(Parameter(p.name, 1.0) for p in model.parameters),
        covariates=tuple(Covariate(c.name) for c in model.covariates),
        random=tuple(
            RandomBlock(
                block.names,
                tuple(tuple(float(i == j) for j in size) for i in size),
                block.level,
                box_cox=block.box_cox,
            )
            for block in model.random
            for size in [range(len(block.names))]
        ),
        outputs=tuple(
            Output(o.name, o.equals, error=error)
            for o, error in zip(model.outputs, errors, strict=True)
        ),
        population=(),
        drawn=(),
        draws=(),
        sources=(),
    )
