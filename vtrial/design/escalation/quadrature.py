r"""Posteriors on fixed grids: sums that converge as fast as the integrands are smooth.

The trapezoidal rule over the whole line has an error that falls exponentially with the
density of nodes. Up to a limit $t$ the same holds if the integrand is interpolated by
sinc functions, whose integrals give each node its weight,

$$ \int_{-\infty}^{t} f \approx h \sum_i f(u_i)
   \left(\tfrac12 + \tfrac1\pi \mathrm{Si}\frac{\pi (t - u_i)}{h}\right) . $$

Weights do not depend on what was seen: a grid is made once and serves every trial.

References
----------
Stenger F (1993) Numerical Methods Based on Sinc and Analytic Functions, section 3.6.
Trefethen LN, Weideman JAC (2014) SIAM Review 56:385-458.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special


def line(reach: float, nodes: int) -> Float[np.ndarray, " node"]:
    """Return equidistant nodes from minus to plus some reach."""
    return np.linspace(-reach, reach, nodes)


def share_up_to(
    limit: Float[np.ndarray, " limit"], nodes: Float[np.ndarray, " node"]
) -> Float[np.ndarray, "limit node"]:
    """Return each node's share in the integral up to a limit."""
    step = nodes[1] - nodes[0]
    far = np.clip((limit[:, None] - nodes) / step, -1e12, 1e12)
    return 0.5 + special.sici(np.pi * far)[0] / np.pi


def normalised(
    logarithm: Float[Array, " node"],
) -> Float[Array, " node"]:
    """Return weights that sum to 1, of logarithms that may be far from 0."""
    weight = jnp.exp(logarithm - logarithm.max())
    return weight / weight.sum()
