"""Cluster randomisation: who belongs together gets the same arm."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int


def by_cluster(
    replicate: Int[np.ndarray, " subject"],
    cluster: Int[np.ndarray, " subject"],
    assign: Callable[..., Int[np.ndarray, " cluster"]],
) -> Int[np.ndarray, " subject"]:
    """Return the arm of each subject's cluster.

    Parameters
    ----------
    replicate, cluster
        Of each subject; clusters are numbered from 0 in each replicate.
    assign
        `assign(replicate=..., subject=...)` returns the arms of clusters, which it
        takes for subjects: `allocate` with its allocation and seed, for example.

    Examples
    --------
    >>> cluster = np.array([3, 1, 3, 1])
    >>> arm = by_cluster(
    ...     np.zeros(4, int), cluster, lambda replicate, subject: subject // 2
    ... )
    >>> arm.tolist()
    [1, 0, 1, 0]
    """
    pairs = np.stack([replicate, cluster], axis=1)
    distinct, which = np.unique(pairs, axis=0, return_inverse=True)
    arms = assign(replicate=distinct[:, 0], subject=distinct[:, 1])
    return np.asarray(arms)[which.reshape(-1)]
