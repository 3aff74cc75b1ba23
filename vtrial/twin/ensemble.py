r"""Models with chance: where a person stands now, by an ensemble that is moved.

Members are persons with random effects of their own, who go from measurement to
measurement by the model's own chance, as particles do. There none is weighted: all of
them are moved, states, held states and random effects together, by what they foretell
of the measurement. On the scale h of its law, with $f_m$ what member m foretells and
$s_m$ the deviation of its error,

$$ z_m \leftarrow z_m + \frac{\operatorname{Cov}(z, h(f))}
   {\operatorname{Var}(h(f)) + \overline{s^2}}\,
   \big(h(y) - h(f_m) - s_m \varepsilon_m\big), \qquad \varepsilon_m \sim N(0, 1). $$

As the ensemble grows that is Kalman's filter where all is linear and normal; elsewhere
it is the best linear guess, and `log_density` that of a normal law. Measurements come
one by one, and so nothing is inverted. A member that foretells what the law cannot
hold, such as a logarithm of nothing, is lost.

References
----------
Evensen G (2003) Ocean Dyn 53:343-367. Burgers G, van Leeuwen PJ, Evensen G (1998) Mon
Weather Rev 126:1719-1724 (why measurements are perturbed).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.errors import Fault, FitError
from vtrial.fit.study import Study
from vtrial.fit.values import Values
from vtrial.keys import purpose_key
from vtrial.model.chance import LAWS, Draw
from vtrial.model.model import Model
from vtrial.model.residual import density_of, placed
from vtrial.model.residual import standing as stands
from vtrial.sheets.words import listed
from vtrial.solver.standing import Standing
from vtrial.twin.cloud import Course, Mine, Outputs, Particles, bands

NORMAL = ("normal", "log", "logit")  # laws of an error that is normal on some scale
WRITE = "--method particles"


class Foretold(NamedTuple):
    """What members foretell of one measurement a subject, on the scale of its law.

    Fields
    ------
    gap
        h(y) - h(f) of each member, 0 for those who are lost.
    off
        The deviation of its error.
    good
        Who is not lost.
    variance
        Of the measurement, its error with it.
    density
        Log-density of the measurement, by a normal law.
    """

    gap: Float[Array, "subject member"]
    off: Float[Array, "subject member"]
    good: Bool[Array, "subject member"]
    variance: Float[Array, " subject"]
    density: Float[Array, " subject"]


def refuse_ensemble(model: Model, study: Study, moves: int) -> None:
    """Refuse what an ensemble cannot be moved by, or what would not use it.

    Raises
    ------
    FitError
        With everything that stands in the way.
    """
    chance, data = model.chance, study.data
    assert chance is not None  # or there were no cloud
    found: list[tuple[str, str, str]] = []
    if moves:
        allowed = "0 with an ensemble: all of its members move at every measurement"
        found.append(("moves", str(moves), allowed))
    if chance.events:
        names = listed([event.name for event in chance.events])
        allowed = "without events, for an ensemble: how often one came is no number "
        found.append((model.name, f"with the events {names}", allowed + "to move"))
    whole = [s.place for s in chance.steps if isinstance(s, Draw) and LAWS[s.law].whole]
    if whole:
        allowed = "draws of continuous laws, for an ensemble: it moves states between"
        found.append((model.name, f"with {listed(whole)}", allowed))
    seen = np.unique(data.output[data.real])
    for output in (model.outputs[place] for place in seen):
        if output.error.law not in NORMAL:
            allowed = f"of one of the laws {listed(NORMAL)}, for an ensemble"
            at = f"outputs.{output.name}.error"
            found.append((at, f"of the law {output.error.law}", allowed))
    if count := int((data.below & data.real).sum()):
        allowed = "none, for an ensemble: such a value is no number to move to"
        found.append(("values below a limit", str(count), allowed))
    if found:
        raise FitError.of(Fault(*one, WRITE) for one in found)


def look(
    course: Course, before: Particles, order: Int[Array, ""]
) -> tuple[Particles, tuple[Any, ...]]:
    """Go to a measurement of every subject, and move all members by it."""
    outputs, standing, _ = course.measured(
        order, before.eta, before.standing, course.keys
    )
    mine = course.mine(order)
    real = mine[3]
    told = _foretold(course.cloud.program.model, course.values, outputs, before, mine)
    known = real & jnp.isfinite(told.density)
    share = jnp.where(told.good, before.share, -jnp.inf)
    whole = jnp.sum(jnp.exp(share), axis=1, keepdims=True)
    share = jnp.where(known[:, None], share - jnp.log(whole), before.share)
    moved, eta = _moved(course, standing, before.eta, share, told, known, order)
    chances = jnp.zeros((len(real), 2))
    if course.cloud.watched is not None:
        both = [
            jnp.exp(one) * course.comes(effects, where).reshape(one.shape)
            for one, effects, where in (
                (before.share, before.eta, standing),
                (share, eta, moved),
            )
        ]
        chances = jnp.stack([jnp.sum(one, axis=1) for one in both], axis=1)
    seen = course.now(eta, moved)
    found = {name: bands(value, jnp.exp(share)) for name, value in seen.items()}
    worth = 1.0 / jnp.sum(jnp.exp(2.0 * share), axis=1)
    density = jnp.where(real, told.density, 0.0)
    after = before._replace(standing=moved, eta=eta, share=share)
    return after, (found, worth, density, chances)


def _foretold(
    model: Model, values: Values, outputs: Outputs, before: Particles, mine: Mine
) -> Foretold:
    """Say what members foretell of one measurement a subject."""
    value, output, _, real = mine
    shape = before.share.shape
    found = Foretold(
        jnp.zeros(shape),
        jnp.ones(shape),
        jnp.ones(shape, bool),
        jnp.ones(shape[0]),
        jnp.zeros(shape[0]),
    )
    for number, one in enumerate(model.outputs):
        if one.error.law not in NORMAL or not one.error.varies:
            continue
        asked = {name: outputs[name] for name in one.error.computed}
        sizes = values.sizes.get(one.name, {})
        at, off, good = stands(
            one.error, outputs[one.name], computed=asked, sizes=sizes
        )
        good = good & jnp.isfinite(before.share)
        share = _even(good)
        mean = jnp.sum(share * at, axis=1)
        spread = _between(share, at, at) + jnp.sum(share * off**2, axis=1)
        spread = jnp.where(spread > 0, spread, 1.0)
        density = density_of(one.error, mean, jnp.sqrt(spread), value)
        density = jnp.where(jnp.sum(good, axis=1) > 1, density, -jnp.inf)
        gap = jnp.where(good, placed(one.error, value)[:, None] - at, 0.0)
        own, here = (gap, off, good, spread, density), real & (output == number)
        found = Foretold(
            *(
                jnp.where(here.reshape(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(own, found, strict=True)
            )
        )
    return found


def _moved(
    course: Course,
    standing: Standing,
    eta: Float[Array, "row effect"],
    share: Float[Array, "subject member"],
    told: Foretold,
    known: Bool[Array, " subject"],
    order: Int[Array, ""],
) -> tuple[Standing, Float[Array, "row effect"]]:
    """Move states, held states and random effects of those who have a measurement."""
    even = _even(jnp.isfinite(share))
    luck = _perturbed(course.keys, order).reshape(share.shape)
    wrong = told.off * luck
    wrong = wrong - jnp.sum(even * wrong, axis=1, keepdims=True)
    way = (told.gap - wrong) / told.variance[:, None]

    def move(value: Float[Array, "row part"]) -> Float[Array, "row part"]:
        each = value.reshape(*share.shape, value.shape[1]).astype(float)
        # What a member foretells too much is what the measurement seems too low by.
        gain = -_between(even[..., None], each, told.gap[..., None])
        moved = each + gain[:, None] * way[..., None]
        chosen = known[:, None] & jnp.isfinite(share)
        moved = jnp.where(chosen[..., None], moved, each)
        return moved.reshape(value.shape).astype(value.dtype)

    state = standing.state._replace(amounts=move(standing.state.amounts))
    return standing._replace(state=state, held=move(standing.held)), move(eta)


def _perturbed(keys: Key[Array, " row"], order: Int[Array, ""]) -> Float[Array, " row"]:
    """Draw what each member's measurement is off by, in its deviations."""

    def each(key: Key[Array, ""]) -> Float[Array, ""]:
        own = jax.random.fold_in(purpose_key(key, "perturbation"), order)
        return jax.random.normal(own, (), float)

    return jax.vmap(each)(keys)


def _even(good: Bool[Array, "subject member"]) -> Float[Array, "subject member"]:
    """Return equal shares of the members who are not lost."""
    each = good.astype(float)
    return each / jnp.maximum(jnp.sum(each, axis=1, keepdims=True), 1.0)


def _between(
    share: Float[Array, "subject member *#part"],
    one: Float[Array, "subject member *#part"],
    other: Float[Array, "subject member *#part"],
) -> Float[Array, "subject *part"]:
    """Return the covariance of two numbers of members, over one member fewer."""

    def off(value: Array) -> Array:
        value = jnp.where(share > 0, value, 0.0)
        return value - jnp.sum(share * value, axis=1, keepdims=True)

    most = jnp.max(share, axis=1)
    fewer = jnp.where(most < 1, 1.0 - most, 1.0)
    return jnp.sum(share * off(one) * off(other), axis=1) / fewer
