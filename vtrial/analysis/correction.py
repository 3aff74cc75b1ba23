"""Bring measured values to the median prediction, and variability, of their time.

References
----------
Bergstrand M, Hooker AC, Wallin JE, Karlsson MO (2011) AAPS J 13:143-151.
"""

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "*any"]
Like = Float[np.ndarray, "*#any"]


def correct_prediction(
    value: Values,
    predicted: Values,
    middle: Like,
    *,
    bound: float = 0.0,
    logarithms: bool = False,
) -> Values:
    r"""Return prediction-corrected values, at the median prediction of their time.

    $$ y^* = b + (y - b) \frac{\tilde p - b}{p - b}, \qquad
       \text{of logarithms} \quad y^* = y + \tilde p - p. $$

    Parameters
    ----------
    value, predicted
        [the output's unit] What was measured, and the population's prediction p of it.
    middle
        [the output's unit] Median prediction of the same time.
    bound
        [the output's unit] The lowest value b that there can be.
    logarithms
        Whether all of these are logarithms.

    Returns
    -------
    [the output's unit] NaN where the prediction, but not the middle one, is at the
    bound; where both are, the value itself.

    Examples
    --------
    >>> one = np.array([4.0])
    >>> print(f"{correct_prediction(one, 2 * one, 3 * one)[0]:.1f} mg/L")
    6.0 mg/L
    """
    if logarithms:
        return value + middle - predicted
    return bound + (value - bound) * _factor(predicted, middle, bound)


def correct_variability(
    value: Values, middle: Like, spread: Values, usual: Like
) -> Values:
    r"""Return variability-corrected values: as if with the median spread of their time.

    $$ y^{**} = \tilde p + (y^* - \tilde p) \frac{\tilde s}{s} $$

    Parameters
    ----------
    value, middle
        [the output's unit] Values corrected by prediction; median prediction.
    spread, usual
        [the output's unit] Standard deviation s of the corrected value between subjects
        of the same design, and its median at the same time.

    Returns
    -------
    [the output's unit] NaN where the value cannot vary, but usually does; where none
    does, the value itself.
    """
    return middle + (value - middle) * _factor(spread, usual, 0.0)


def corrected_spread(
    spread: Values,
    predicted: Values,
    middle: Like,
    *,
    bound: float = 0.0,
    logarithms: bool = False,
) -> Values:
    """Return the standard deviation of a corrected value, of that of the value."""
    if logarithms:
        return spread
    return spread * np.abs(_factor(predicted, middle, bound))


def _factor(own: Values, middle: Like, bound: float) -> Values:
    """Return how far the middle is from the bound, in terms of one's own distance."""
    own, middle = own - bound, np.broadcast_to(middle - bound, own.shape)
    away = own != 0
    factor = middle / np.where(away, own, 1.0)
    return np.where(away, factor, np.where(middle == 0, 1.0, np.nan))
