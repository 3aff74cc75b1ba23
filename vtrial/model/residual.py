"""Residual error: sampling measured values, and their log-density.

References
----------
Beal SL (2001) J Pharmacokinet Pharmacodyn 28:481-504 (methods for values below the
limit of quantification).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc
from jaxtyping import Array, Float, Key

from vtrial.errors import ModelError
from vtrial.model.model import Output, ResidualError

Computed = Mapping[str, Float[Array, "*any"]]
_NOTHING: Computed = MappingProxyType({})


def measured(
    output: Output,
    prediction: Float[Array, "*any"],
    normal: Float[Array, "*any"],
    *,
    computed: Mapping[str, Float[Array, "*any"]] = _NOTHING,
    keys: Key[Array, "*any"] | None = None,
) -> Float[Array, "*any"]:
    r"""Return a prediction with residual error, as an assay would report it.

    With f the prediction and its bias, s the standard deviation and z a normal draw,

    $$ y = f + s z, \quad f e^{s z}, \quad f + s T_\nu \quad\text{or}\quad
       \operatorname{logit}\frac{y - l}{u - l}
       = \operatorname{logit}\frac{f - l}{u - l} + s z, $$

    or (y - l)/(u - l) has the beta distribution whose mean is (f - l)/(u - l) and whose
    parameters add up to the precision; and half the quantification limit where y falls
    below it. If nothing is computed, $s = \sqrt{a^2 + (b f)^2}$.

    Parameters
    ----------
    output
        Its residual error and its quantification limit, in its unit.
    prediction
        [the output's unit] True value; where it is NaN, so is the result.
    normal
        [1] Standard normal draw.
    computed
        What the equations give of `output.error.computed`.
    keys
        From which Student's t and a beta distribution draw more; the others need none.

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
    error = output.error
    centre = _centre(error, prediction, computed)
    if error.law == "log":
        value = centre * jnp.exp(_size(error, centre, computed) * normal)
    elif error.law == "logit":
        shift = _size(error, centre, computed) * normal
        value = _between(error, jax.nn.sigmoid(_logit(error, centre) + shift))
    elif error.law == "beta":
        value = _between(error, _beta_drawn(error, centre, computed, keys))
    elif error.law == "student":
        heavy = normal / jnp.sqrt(_mixing(error.freedom, normal, keys))
        value = centre + _size(error, centre, computed) * heavy
    elif error.spread:
        value = centre + computed[error.spread] * normal
    else:
        value = _noisy(error, centre, normal)
    return censored(output, value) if output.lloq else value


def log_density(
    output: Output,
    prediction: Float[Array, "*any"],
    value: Float[Array, "*any"],
    *,
    computed: Mapping[str, Float[Array, "*any"]] = _NOTHING,
) -> Float[Array, "*any"]:
    r"""Return the log-density of a measured value, given its prediction.

    $$ \log p(y) = \log g\left(\frac{h(y) - h(f)}{s}\right) - \log s
       + \log |h'(y)|, $$

    where h is the identity, the logarithm or the logit, and g the density of the
    standard normal or of Student's t; or that of a beta distribution. A value below the
    quantification limit counts by the probability to fall there (Beal's method M3).

    Parameters
    ----------
    output
        Its residual error and its quantification limit, in its unit.
    prediction
        [the output's unit] True value; where it is NaN, so is the result.
    value
        [the output's unit] Measured value.
    computed
        What the equations give of `output.error.computed`.

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
    if not error.varies:
        raise ModelError(
            at=f"outputs.{output.name}.error",
            found="none",
            allowed="an error, for a likelihood",
            write="error: {proportional: 0.1}",
        )
    limit = jnp.asarray(output.lloq, prediction.dtype)
    seen = value >= limit
    asked = jnp.where(seen, value, limit) if output.lloq else value
    centre = _centre(error, prediction, computed)
    scale = _size(error, centre, computed)
    if error.law == "beta":
        density, real = _beta_density(error, centre, asked, scale)
        below = density  # a sheet gives it no limit
    else:
        real, place, middle, stretch = _placed(error, centre, asked)
        real = real & (scale > 0)
        # Both branches of each choice are finite, so that their gradients are, too.
        scaled = (place - middle) / jnp.where(real, scale, 1.0)
        density, below = _standard(error, scaled)
        density = density + stretch - jnp.log(jnp.where(real, scale, 1.0))
    found = jnp.where(seen, density, below) if output.lloq else density
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
    if error.additive and error.proportional:
        return prediction + _numbers(error, prediction) * normal
    if error.proportional:
        return prediction * (1.0 + error.proportional * normal)
    return prediction + error.additive * normal if error.additive else prediction


def _centre(
    error: ResidualError, prediction: Float[Array, "*any"], computed: Computed
) -> Float[Array, "*any"]:
    """Return the prediction with its bias."""
    return prediction + computed[error.bias] if error.bias else prediction


def _size(
    error: ResidualError, prediction: Float[Array, "*any"], computed: Computed
) -> Float[Array, "*any"]:
    """Return the standard deviation on the scale of the law, or the precision."""
    if error.spread:
        return jnp.broadcast_to(computed[error.spread], prediction.shape)
    if error.law == "log":
        return jnp.full_like(prediction, error.log)
    return _numbers(error, prediction)


def _numbers(
    error: ResidualError, prediction: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    """Return the standard deviation that two numbers make."""
    if error.additive and error.proportional:
        return jnp.sqrt(error.additive**2 + (error.proportional * prediction) ** 2)
    if error.proportional:
        return error.proportional * jnp.abs(prediction)
    return jnp.full_like(prediction, error.additive)


def _share(error: ResidualError, value: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return where a value lies between the ends of its range, 0 to 1."""
    return (value - error.low) / (error.high - error.low)


def _between(error: ResidualError, share: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return the value at a place between the ends of its range."""
    return error.low + (error.high - error.low) * share


def _logit(error: ResidualError, value: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return the logit of a value's place; at an end infinite, beyond it NaN."""
    share = _share(error, value)
    return jnp.log(share) - jnp.log1p(-share)


def _placed(
    error: ResidualError, centre: Float[Array, "*any"], value: Float[Array, "*any"]
) -> tuple[Array, Array, Array, Array]:
    """Return if both are on the scale of the law, where, and the log-derivative there.

    That of the scale by the value, at the value.
    """
    if error.law == "log":
        real = (centre > 0) & (value > 0)
        middle, place = (
            jnp.log(jnp.where(real, part, 1.0)) for part in (centre, value)
        )
        return real, place, middle, -place
    if error.law == "logit":
        inside = [(part > error.low) & (part < error.high) for part in (centre, value)]
        real, half = inside[0] & inside[1], 0.5 * (error.low + error.high)
        middle, place = (
            _logit(error, jnp.where(real, part, half)) for part in (centre, value)
        )
        share = _share(error, jnp.where(real, value, half))
        stretch = -jnp.log(share) - jnp.log1p(-share)
        return real, place, middle, stretch - math.log(error.high - error.low)
    return jnp.isfinite(value), value, centre, jnp.zeros_like(centre)


def _standard(
    error: ResidualError, scaled: Float[Array, "*any"]
) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """Return log-density and log-probability below, of the standard law."""
    if error.law != "student":
        normal = jax.scipy.stats.norm
        return normal.logpdf(scaled), normal.logcdf(scaled)
    freedom = error.freedom
    part = freedom / (freedom + scaled**2)
    tail = 0.5 * betainc(0.5 * freedom, 0.5, part)
    below = jnp.log(jnp.where(scaled < 0, tail, 1.0 - tail))
    return jax.scipy.stats.t.logpdf(scaled, freedom), below


def _mixing(
    freedom: float, like: Float[Array, "*any"], keys: Key[Array, "*any"] | None
) -> Float[Array, "*any"]:
    """Draw a chi-squared variate over its degrees of freedom."""
    half = 0.5 * freedom
    return _gamma(jnp.full_like(like, half), keys, 0) / half


def _beta_drawn(
    error: ResidualError,
    centre: Float[Array, "*any"],
    computed: Computed,
    keys: Key[Array, "*any"] | None,
) -> Float[Array, "*any"]:
    """Draw where a value lies between the ends; where its mean is an end, there."""
    mean, precision = _share(error, centre), _size(error, centre, computed)
    real = (mean > 0) & (mean < 1)
    inside = jnp.where(real, mean, 0.5)
    first = _gamma(inside * precision, keys, 0)
    second = _gamma((1.0 - inside) * precision, keys, 1)
    ends = (mean == 0) | (mean == 1)
    outside = jnp.where(ends, mean, jnp.nan)
    return jnp.where(real, first / (first + second), outside)


def _beta_density(
    error: ResidualError,
    centre: Float[Array, "*any"],
    value: Float[Array, "*any"],
    precision: Float[Array, "*any"],
) -> tuple[Array, Array]:
    """Return the log-density of a beta distribution, and where there is one."""
    mean, share = _share(error, centre), _share(error, value)
    real = (mean > 0) & (mean < 1) & (share > 0) & (share < 1) & (precision > 0)
    mean, share = (jnp.where(real, part, 0.5) for part in (mean, share))
    precision = jnp.where(real, precision, 2.0)
    first, second = mean * precision, (1.0 - mean) * precision
    density = jax.scipy.stats.beta.logpdf(share, first, second)
    return density - math.log(error.high - error.low), real


def _gamma(
    shape: Float[Array, "*any"], keys: Key[Array, "*any"] | None, place: int
) -> Float[Array, "*any"]:
    """Draw gamma variates of scale 1, each from the key of its element."""
    if keys is None:
        raise TypeError("this error draws more than a normal: give keys")
    draw = jax.vmap(
        lambda key, size: jax.random.gamma(
            jax.random.fold_in(key, place), size, dtype=size.dtype
        )
    )
    return draw(keys.reshape(-1), shape.reshape(-1)).reshape(shape.shape)
