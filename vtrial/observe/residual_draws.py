"""Standard normal draws behind residual errors: correlated, and with a memory."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from vtrial.model.covariance import root
from vtrial.model.model import Model
from vtrial.observe.observation_times import ObservationTimes


def residual_normals(
    model: Model,
    plan: ObservationTimes,
    keys: Key[Array, " subject"],
    output: str,
) -> Float[Array, "subject visit"]:
    """Return standard normal draws for the residual error of an output.

    Each is a mix of draws that are keyed by output, visit and the time's number in it:
    of the outputs at the same time as their errors are correlated, and of earlier times
    as far as the error has a memory, by the times of the plan. Where there is neither,
    it is the draw itself.
    """
    if output not in model.error_names:
        drawn = plan.normals(keys, output)
    else:
        row = root(model.error_correlation)[model.error_names.index(output)]
        parts = zip(model.error_names, row, strict=True)
        drawn = sum(w * plan.normals(keys, name) for name, w in parts if w)
        drawn = jnp.asarray(drawn)
    memory = next(o.error.memory for o in model.outputs if o.name == output)
    return remembered(drawn, plan.taken(keys), memory) if memory else drawn


def remembered(
    drawn: Float[Array, "subject visit"],
    taken: Float[Array, "#subject visit"],
    memory: float,
) -> Float[Array, "subject visit"]:
    r"""Return draws of an Ornstein-Uhlenbeck process made of independent ones.

    In the order of time, $x_k = \rho x_{k-1} + \sqrt{1 - \rho^2} z_k$ with
    $\rho = e^{-(t_k - t_{k-1})/\tau}$: each is standard normal, and the correlation of
    two is $e^{-|t - s|/\tau}$, $\tau$ the memory [h].
    """
    time = jnp.broadcast_to(taken, drawn.shape)
    order = jnp.argsort(time, axis=1)
    time, fresh = (jnp.take_along_axis(part, order, axis=1) for part in (time, drawn))
    kept = jnp.exp(-jnp.diff(time, axis=1) / memory).astype(drawn.dtype)
    new = jnp.sqrt(-jnp.expm1(2.0 * jnp.log(kept)))

    def step(
        before: Float[Array, " subject"], each: tuple[Array, Array, Array]
    ) -> tuple[Float[Array, " subject"], Float[Array, " subject"]]:
        rho, scale, draw = each
        now = rho * before + scale * draw
        return now, now

    columns = (kept.T, new.T, fresh[:, 1:].T)
    later = jax.lax.scan(step, fresh[:, 0], columns)[1].T
    every = jnp.concatenate([fresh[:, :1], later], axis=1)
    return jnp.take_along_axis(every, jnp.argsort(order, axis=1), axis=1)
