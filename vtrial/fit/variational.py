"""The multivariate normal law nearest to a posterior distribution, by its evidence.

It is over all sites without bounds: the population with its correlations, and every
subject's scores, which are nearly standard normal by themselves.

References
----------
Kucukelbir A and others (2017) J Mach Learn Res 18:1-45.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import biject_to, constraints
from numpyro.handlers import substitute
from numpyro.handlers import trace as traced
from numpyro.infer import SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoMultivariateNormal
from numpyro.optim import Adam

from vtrial.fit.hierarchy import Given, foreign, population, program
from vtrial.fit.likelihood import Likelihood
from vtrial.fit.parameters import Layout
from vtrial.keys import purpose_key

PORTION = 100  # steps of a program
SAMPLES = 4  # of the law, a step
RATE = 0.02  # of the first steps; it falls to a hundredth


class Nearest(NamedTuple):
    """What was found.

    Fields
    ------
    vector
        Draws of the population.
    losses
        Minus the evidence's lower bound, the mean of each portion of steps.
    """

    vector: Float[np.ndarray, "draw estimate"]
    losses: Float[np.ndarray, " portion"]


@foreign()
def nearest(
    likelihood: Likelihood,
    layout: Layout,
    given: Given,
    *,
    seed: int,
    position: dict[str, Array],
    steps: int,
    draws: int,
    tell: Callable[[int, float], None],
) -> Nearest:
    """Ascend the evidence's bound from a position, and draw from what is found."""
    arguments = (likelihood, layout, given)
    bounded: Any = biject_to(constraints.corr_cholesky)
    values = {
        name: bounded(part) if name.startswith("correlation") else part
        for name, part in position.items()
    }
    guide = AutoMultivariateNormal(
        program, init_loc_fn=init_to_value(values=values), init_scale=0.1
    )

    def rate(step: Array) -> Array:
        return RATE * 0.01 ** (jnp.asarray(step, float) / steps)

    svi = SVI(program, guide, Adam(rate), Trace_ELBO(num_particles=SAMPLES))
    key = purpose_key(jax.random.key(seed), "vi")
    state: Any = svi.init(key, *arguments)

    @jax.jit
    def go(state: Any, given: Given) -> Any:
        def one(state: Any, _: None) -> Any:
            return svi.update(state, likelihood, layout, given)

        return jax.lax.scan(one, state, None, length=PORTION)

    losses = []
    for number in range(-(-steps // PORTION)):
        state, loss = go(state, given)
        losses.append(float(np.mean(loss)))
        tell((number + 1) * PORTION, losses[-1])
    sites: Any = guide.sample_posterior(
        purpose_key(key, "draws"), svi.get_params(state), sample_shape=(draws,)
    )

    def made(own: dict[str, Array]) -> Array:
        held = traced(substitute(population, data=own)).get_trace(layout, given.prior)
        return held["vector"]["value"]

    own = {name: part for name, part in sites.items() if name in values and name != "z"}
    return Nearest(np.asarray(jax.vmap(made)(own)), np.array(losses))
