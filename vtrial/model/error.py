"""Residual error: from what is true to what is measured."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.model.model import Output, ResidualError


def measured(
    output: Output, prediction: Float[Array, "*any"], normal: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    r"""Return what an assay would report for a prediction.

    $$ y = f e^{\sigma z} \quad\text{or}\quad y = f + z \sqrt{a^2 + (b f)^2}, $$

    and half the quantification limit where y falls below it.

    Parameters
    ----------
    output
        Its residual error and its quantification limit, in its unit.
    prediction
        [the output's unit] True value; where it is NaN, so is the result.
    normal
        [1] Standard normal draw.

    Returns
    -------
    [the output's unit] Measured value, elementwise.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conc = Output("conc", "conc", "mg/L", error=ResidualError(proportional=0.1))
    >>> print(f"{measured(conc, jnp.asarray(5.0), jnp.asarray(2.0)):.1f} mg/L")
    6.0 mg/L
    """
    value = _noisy(output.error, prediction, normal)
    return censored(output, value) if output.lloq else value


def censored(output: Output, value: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return half the quantification limit for what lies below it.

    `value` and the result are in the output's unit; NaN stays NaN.
    """
    return jnp.where(value < output.lloq, 0.5 * output.lloq, value)


def _noisy(
    error: ResidualError, prediction: Float[Array, "*any"], normal: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    """Add the error; a single part needs no root, whose slope at 0 is infinite."""
    if error.log:
        return prediction * jnp.exp(error.log * normal)
    if error.additive and error.proportional:
        spread = jnp.sqrt(error.additive**2 + (error.proportional * prediction) ** 2)
        return prediction + spread * normal
    if error.proportional:
        return prediction * (1.0 + error.proportional * normal)
    return prediction + error.additive * normal if error.additive else prediction
