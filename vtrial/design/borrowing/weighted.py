"""Power priors: historical data that count for less than the trial's own."""

import numpy as np
from jaxtyping import Num

from vtrial.design.borrowing.mixture import Mixture
from vtrial.errors import ProtocolError

NODES = 48  # of a weight that is not fixed
_AT, _SHARES = np.polynomial.legendre.leggauss(NODES)


def power_prior_of_rate(
    events: Num[np.ndarray, " trial"],
    count: Num[np.ndarray, " trial"],
    weight: float | None = None,
    *,
    before: tuple[float, float] = (1.0, 1.0),
) -> Mixture:
    r"""Return the power prior of a rate.

    $$ p(\theta) \propto \theta^{a - 1} (1 - \theta)^{b - 1}
       \left[\theta^r (1 - \theta)^{n - r}\right]^{w} $$

    Without a weight it is uniform from 0 to 1, and the prior of both is normalised for
    each weight, so that the trial's own data tell how much the past counts: that is a
    mixture of conjugates over the weight.

    Parameters
    ----------
    events, count
        Responses and subjects of the historical arms, which are added up.
    weight
        How much a historical subject counts, from 0 to 1.
    before
        Shapes of the beta distribution that was believed before.

    References
    ----------
    Ibrahim JG, Chen MH (2000) Stat Sci 15:46-60. Duan Y et al. (2006) Environmetrics
    17:95-106 (the normalised one).

    Examples
    --------
    >>> made = power_prior_of_rate(np.array([20]), np.array([100]), 0.5)
    >>> made.first.tolist(), made.second.tolist()
    ([11.0], [41.0])
    """
    share, mass = _weights(weight)
    r, n = float(np.sum(events)), float(np.sum(count))
    return Mixture("beta", mass, before[0] + share * r, before[1] + share * (n - r))


def power_prior_of_mean(
    mean: Num[np.ndarray, " trial"],
    error: Num[np.ndarray, " trial"],
    weight: float | None = None,
    *,
    centre: float = 0.0,
    spread: float,
) -> Mixture:
    """Return the power prior of a mean, before which it was normal about a centre.

    Examples
    --------
    >>> made = power_prior_of_mean(np.array([4.0]), np.array([1.0]), 1.0, spread=1.0)
    >>> made.first.tolist()
    [2.0]
    """
    share, mass = _weights(weight)
    known = 1 / np.asarray(error, float) ** 2
    told = (known * np.asarray(mean, float)).sum()
    precision = share * known.sum() + 1 / spread**2
    middle = (share * told + centre / spread**2) / precision
    return Mixture("normal", mass, middle, precision**-0.5)


def _weights(weight: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight, or the nodes of a uniform one, with their masses."""
    if weight is None:
        part = (1 + _AT) / 2  # its cube: what is believed changes fast at low weights
        return part**3, 1.5 * part**2 * _SHARES
    if not 0 <= weight <= 1:
        raise ProtocolError(
            at="weight", found=f"{weight:g}", allowed="a share from 0 to 1", write=""
        )
    return np.array([weight]), np.ones(1)
