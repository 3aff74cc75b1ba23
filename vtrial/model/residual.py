"""Residual error: sampling measured values, and their log-density.

References
----------
Beal SL (2001) J Pharmacokinet Pharmacodyn 28:481-504 (methods for values below the
limit of quantification).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.errors import ModelError
from vtrial.model.model import Output, ResidualError


def measured(
    output: Output, prediction: Float[Array, "*any"], normal: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    r"""Return a prediction with residual error, as an assay would report it.

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


def log_density(
    output: Output, prediction: Float[Array, "*any"], value: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    r"""Return the log-density of a measured value, given its prediction.

    $$ \log p(y) = -\tfrac12 \left(\frac{y - f}{s}\right)^2 - \log s
       - \tfrac12 \log 2\pi, \qquad s = \sqrt{a^2 + (b f)^2}, $$

    of log y and log f, less log y, where the error is of the logarithm. A value below
    the quantification limit counts by the probability to fall there (Beal's method M3).

    Parameters
    ----------
    output
        Its residual error and its quantification limit, in its unit.
    prediction
        [the output's unit] True value; where it is NaN, so is the result.
    value
        [the output's unit] Measured value.

    Returns
    -------
    Log-density by 1/(the output's unit), or log-probability below the limit. It is
    -inf where a value cannot be measured: where the error has no spread, as that of
    a proportional one at 0, and where a logarithm is of nothing.

    Raises
    ------
    ModelError
        If the output has no residual error.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conc = Output("conc", "conc", "mg/L", error=ResidualError(additive=1.0))
    >>> print(f"{log_density(conc, jnp.asarray(5.0), jnp.asarray(5.0)):.3f}")
    -0.919
    """
    error = output.error
    if not (error.log or error.additive or error.proportional):
        raise ModelError(
            at=f"outputs.{output.name}.error",
            found="none",
            allowed="an error, for a likelihood",
            write="error: {proportional: 0.1}",
        )
    limit = jnp.asarray(output.lloq, prediction.dtype)
    seen = value >= limit
    asked = jnp.where(seen, value, limit) if output.lloq else value
    if error.log:
        real = (prediction > 0) & (asked > 0)
        centre, place = (
            jnp.log(jnp.where(real, part, 1.0)) for part in (prediction, asked)
        )
        spread, stretch = jnp.full_like(prediction, error.log), place
    else:
        centre, place, stretch = prediction, asked, jnp.zeros_like(prediction)
        spread = _spread(error, prediction)
        real = spread > 0
    # Both branches of each choice are finite, so that their gradients are, too.
    scaled = (place - centre) / jnp.where(real, spread, 1.0)
    found = jax.scipy.stats.norm.logpdf(scaled) - stretch
    found = found - jnp.log(jnp.where(real, spread, 1.0))
    if output.lloq:
        found = jnp.where(seen, found, jax.scipy.stats.norm.logcdf(scaled))
    known = jnp.isfinite(prediction)
    return jnp.where(known, jnp.where(real, found, -jnp.inf), jnp.nan)


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
        return prediction + _spread(error, prediction) * normal
    if error.proportional:
        return prediction * (1.0 + error.proportional * normal)
    return prediction + error.additive * normal if error.additive else prediction


def _spread(
    error: ResidualError, prediction: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    """Return the standard deviation of a measurement."""
    if error.additive and error.proportional:
        return jnp.sqrt(error.additive**2 + (error.proportional * prediction) ** 2)
    if error.proportional:
        return error.proportional * jnp.abs(prediction)
    return jnp.full_like(prediction, error.additive)
