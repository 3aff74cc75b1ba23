"""Residual error: sampling measured values, and their log-density.

References
----------
Beal SL (2001) J Pharmacokinet Pharmacodyn 28:481-504 (methods for values below the
limit of quantification).
"""

import functools
import math
from collections.abc import Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, polygamma
from jaxtyping import Array, ArrayLike, Bool, Float, Key

from vtrial.errors import ModelError
from vtrial.model.model import Output, ResidualError

Computed = Mapping[str, Float[Array, "*any"]]
Sizes = Mapping[str, Float[ArrayLike, ""]]
_NOTHING: Computed = MappingProxyType({})
_OWN: Sizes = MappingProxyType({})


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
    sizes: Sizes = _OWN,
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
    sizes
        Instead of the model's `additive`, `proportional` or `log`, by these words, of
        those that the error has; they may be traced.

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
    middle, scale, real = standing(error, prediction, computed=computed, sizes=sizes)
    below = value < jnp.asarray(output.lloq, prediction.dtype) if output.lloq else None
    limit = jnp.asarray(output.lloq, prediction.dtype)
    asked = value if below is None else jnp.where(below, limit, value)
    found = density_of(error, middle, scale, asked, below=below)
    known = jnp.isfinite(prediction)
    return jnp.where(known, jnp.where(real, found, -jnp.inf), jnp.nan)


def standing(
    error: ResidualError,
    prediction: Float[Array, "*any"],
    *,
    computed: Mapping[str, Float[Array, "*any"]] = _NOTHING,
    sizes: Sizes = _OWN,
) -> tuple[Float[Array, "*any"], Float[Array, "*any"], Bool[Array, "*any"]]:
    """Return where a measured value is expected on the scale of the law, how far off.

    These are h(f) and s of `log_density`; of a beta distribution, the mean's place
    between the ends and the precision. The third says where there is such a law; where
    there is none, the others are finite all the same, and so are their derivatives.

    Parameters
    ----------
    error, prediction, computed, sizes
        As in `log_density`.
    """
    centre = _centre(error, prediction, computed)
    scale = _size(error, centre, computed, sizes)
    share = error.law in ("logit", "beta")
    real = jnp.isfinite(centre) & (scale > 0)
    if error.law == "log":
        real = real & (centre > 0)
        middle = jnp.log(jnp.where(real, centre, 1.0))
    elif share:
        real = real & (centre > error.low) & (centre < error.high)
        inside = jnp.where(real, centre, 0.5 * (error.low + error.high))
        beta = error.law == "beta"
        middle = _share(error, inside) if beta else _logit(error, inside)
    else:
        middle = jnp.where(real, centre, 0.0)
    return middle, jnp.where(real, scale, 1.0), real


def density_of(
    error: ResidualError,
    middle: Float[Array, "*any"],
    scale: Float[Array, "*any"],
    value: Float[Array, "*any"],
    *,
    below: Bool[Array, "*any"] | None = None,
) -> Float[Array, "*any"]:
    """Return the log-density of a value, given what `standing` gives.

    Where `below`, the value is a limit, and its log-probability to be below is
    returned. A value that cannot be measured has -inf.
    """
    if error.law == "beta":
        density, real = _beta_density(error, middle, value, scale)
        return jnp.where(real, density, -jnp.inf)
    real, place, stretch = _placed(error, value)
    # Both branches of each choice are finite, so that their gradients are, too.
    scaled = (place - jnp.where(real, middle, place)) / scale
    density, under = _standard(error, scaled)
    density = density + stretch - jnp.log(scale)
    found = density if below is None else jnp.where(below, under, density)
    return jnp.where(real, found, -jnp.inf)


def placed(error: ResidualError, value: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return h(y) of `log_density`, of a beta distribution y's place between the ends.

    It is finite where a value cannot be measured, but means nothing.
    """
    if error.law == "beta":
        return _share(error, value)
    return _placed(error, value)[1]


def drawn(
    error: ResidualError,
    middle: Float[Array, "*any"],
    scale: Float[Array, "*any"],
    normal: Float[Array, "*any"],
    keys: Key[Array, "*any"] | None = None,
) -> Float[Array, "*any"]:
    """Return a measured value, given what `standing` gives; nothing is censored.

    Parameters
    ----------
    normal
        [1] Standard normal draw.
    keys
        From which Student's t and a beta distribution draw more; the others need none.
    """
    if error.law == "beta":
        first = _gamma(middle * scale, keys, 0)
        second = _gamma((1.0 - middle) * scale, keys, 1)
        return _between(error, first / (first + second))
    if error.law == "student":
        normal = normal / jnp.sqrt(_mixing(error.freedom, normal, keys))
    place = middle + scale * normal
    if error.law == "log":
        return jnp.exp(place)
    return _between(error, jax.nn.sigmoid(place)) if error.law == "logit" else place


def information_of(
    error: ResidualError,
    middle: Float[Array, "*any"],
    scale: Float[Array, "*any"],
    value: Float[Array, "*any"],
    *,
    below: Bool[Array, "*any"] | None = None,
) -> tuple[Float[Array, "*any"], Float[Array, "*any"], Float[Array, "*any"]]:
    r"""Return what a value tells of `middle` and `scale`: their Fisher information.

    Three numbers, for middle and middle, middle and scale, scale and scale. For the
    normal law $1/s^2$, 0 and $2/s^2$; for Student's t
    $(\nu+1)/((\nu+3) s^2)$, 0 and $2\nu/((\nu+3) s^2)$. Of a value `below` a limit it
    is what was observed: with $z = (h(l) - m)/s$ and $\lambda = \varphi/\Phi$, the
    slope
    $\lambda(\lambda + z)$ times that of z, squared.

    References
    ----------
    Lange KL, Little RJA, Taylor JMG (1989) JASA 84:881-896 (Student's t).
    Ferrari SLP, Cribari-Neto F (2004) J Appl Stat 31:799-815 (beta).
    """
    if error.law == "beta":
        return _beta_information(middle, scale)
    squared = 1.0 / scale**2
    first, last = squared, 2.0 * squared
    if error.law == "student":
        freedom = error.freedom
        first = first * (freedom + 1.0) / (freedom + 3.0)
        last = last * freedom / (freedom + 3.0)
    cross = jnp.zeros_like(first)
    if below is None:
        return first, cross, last
    real, place, _ = _placed(error, value)
    z = jnp.where(real & below, (place - middle) / scale, 0.0)
    ratio = jnp.exp(jax.scipy.stats.norm.logpdf(z) - jax.scipy.stats.norm.logcdf(z))
    weight = ratio * (ratio + z) * squared
    told = (weight, weight * z, weight * z**2)
    given = (first, cross, last)
    first, cross, last = (
        jnp.where(below, a, b) for a, b in zip(told, given, strict=True)
    )
    return first, cross, last


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
    error: ResidualError,
    prediction: Float[Array, "*any"],
    computed: Computed,
    sizes: Sizes = _OWN,
) -> Float[Array, "*any"]:
    """Return the standard deviation on the scale of the law, or the precision."""
    if error.spread:
        return jnp.broadcast_to(computed[error.spread], prediction.shape)
    if error.law == "log":
        return jnp.full_like(prediction, sizes.get("log", error.log))
    return _numbers(error, prediction, sizes)


def _numbers(
    error: ResidualError, prediction: Float[Array, "*any"], sizes: Sizes = _OWN
) -> Float[Array, "*any"]:
    """Return the standard deviation that two numbers make."""
    additive = sizes.get("additive", error.additive)
    proportional = sizes.get("proportional", error.proportional)
    if error.additive and error.proportional:
        return jnp.sqrt(additive**2 + (proportional * prediction) ** 2)
    if error.proportional:
        return jnp.abs(prediction) * proportional
    return jnp.full_like(prediction, additive)


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
    error: ResidualError, value: Float[Array, "*any"]
) -> tuple[Array, Array, Array]:
    """Return if a value is on the scale of the law, where, and the log-derivative.

    That of the scale by the value, at the value.
    """
    if error.law == "log":
        real = value > 0
        place = jnp.log(jnp.where(real, value, 1.0))
        return real, place, -place
    if error.law == "logit":
        real = (value > error.low) & (value < error.high)
        inside = jnp.where(real, value, 0.5 * (error.low + error.high))
        share = _share(error, inside)
        stretch = -jnp.log(share) - jnp.log1p(-share)
        return real, _logit(error, inside), stretch - math.log(error.high - error.low)
    real = jnp.isfinite(value)
    return real, jnp.where(real, value, 0.0), jnp.zeros_like(value)


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
    mean: Float[Array, "*any"],
    value: Float[Array, "*any"],
    precision: Float[Array, "*any"],
) -> tuple[Array, Array]:
    """Return the log-density of a beta distribution, and where there is one."""
    share = _share(error, value)
    real = (share > 0) & (share < 1)
    share = jnp.where(real, share, 0.5)
    first, second = mean * precision, (1.0 - mean) * precision
    density = jax.scipy.stats.beta.logpdf(share, first, second)
    return density - math.log(error.high - error.low), real


def _beta_information(
    mean: Float[Array, "*any"], precision: Float[Array, "*any"]
) -> tuple[Array, Array, Array]:
    """Return the Fisher information of a beta distribution's mean and precision."""
    slope = functools.partial(polygamma, 1)
    one, two = slope(mean * precision), slope((1.0 - mean) * precision)
    rest = 1.0 - mean
    first = precision**2 * (one + two)
    cross = precision * (mean * one - rest * two)
    last = mean**2 * one + rest**2 * two - slope(precision)
    return first, cross, last


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
