"""Comparisons of whole sites: each counts once, by its mean, or has its own intercept.

A random intercept weighs a site by what its mean tells, which depends on how many
subjects it has and on how alike they are.
"""

from typing import NamedTuple

import numpy as np

from vtrial.measure.contrast import Effect, least_squares
from vtrial.measure.groups import Groups, Numbers
from vtrial.measure.random_intercept import RandomIntercept, fit_random_intercept
from vtrial.measure.statistic import logarithms


class Agreement(NamedTuple):
    """How alike subjects of a site are, in each trial.

    Fields
    ------
    correlation
        Within sites: the share of the variance, within arms, that lies between sites.
    inflation
        The design effect: by how much the variance of a mean is larger than of as many
        subjects who do not share sites.
    sites
        How many there are.
    """

    correlation: Numbers
    inflation: Numbers
    sites: Numbers


def cluster_effect(groups: Groups) -> Effect:
    """Return the difference of the mean of sites' means, by Student's test of these.

    The degrees of freedom are the number of sites less two.

    References
    ----------
    Donner A, Klar N (2000) Design and Analysis of Cluster Randomization Trials in
    Health Research, ch. 7. Arnold.
    """
    means, treated, _ = _by_site(groups)
    return least_squares(means, treated)


def random_sites(groups: Groups, *, ratio: bool = False) -> RandomIntercept:
    r"""Fit treatment, covariates and random sites to all subjects (REML).

    $$ y_{ij} = \mu + \tau x_i + \beta^\top z_{ij} + b_i + \varepsilon_{ij} $$

    The second column of the design is treatment. For a ratio values are logarithms.

    References
    ----------
    Donner A, Klar N (2000), ch. 7.
    """
    assert groups.site is not None, "the caller has looked"
    value = logarithms(groups.value) if ratio else groups.value
    columns = [np.ones(value.shape), groups.treated.astype(float)]
    design = np.stack(columns, axis=2)
    if groups.covariates is not None:
        design = np.concatenate([design, groups.covariates], axis=2)
    return fit_random_intercept(value, design, groups.site)


def sites_of(groups: Groups) -> Numbers:
    """Count the sites with subjects in either arm."""
    return (_by_site(groups)[2] > 0).sum(axis=1).astype(float)


def agreement(groups: Groups) -> Agreement:
    r"""Return the correlation within sites by the analysis of variance within arms.

    $$ \hat\rho = \frac{MSB - MSW}{MSB + (m_0 - 1) MSW}, \qquad
       \mathit{deff} = 1 + (\bar m_w - 1) \hat\rho, $$

    with $m_0$ the mean size of sites less what it loses by their variation, and
    $\bar m_w = \sum m^2 / \sum m$ over all sites. An estimate below 0 stands as it is.

    References
    ----------
    Donner A, Klar N (2000), ch. 1 and 6. Ukoumunne OC (2002) Stat Med 21:3757.
    """
    assert groups.site is not None, "the caller has looked"
    means, treated, size = _by_site(groups)
    held = size > 0
    total = size.sum(axis=1)
    sites = held.sum(axis=1).astype(float)
    between, freedom, spread = (np.zeros(len(size)) for _ in range(3))
    for side in (treated, ~treated):
        here = held & side
        count = np.where(here, size, 0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            middle = np.where(here, size * means, 0.0).sum(axis=1) / count
            between += np.where(here, size * (means - middle[:, None]) ** 2, 0.0).sum(
                axis=1
            )
            spread += np.where(
                count > 0, (np.where(here, size, 0) ** 2).sum(axis=1) / count, 0.0
            )
        freedom += np.maximum(here.sum(axis=1) - 1, 0)
    seen = np.isfinite(groups.value)
    own = np.take_along_axis(means, np.maximum(groups.site, 0), axis=1)
    within = np.where(seen, (groups.value - own) ** 2, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = (total - spread) / freedom
        mean_between = between / freedom
        mean_within = within / (total - sites)
        correlation = (mean_between - mean_within) / (
            mean_between + (usual - 1) * mean_within
        )
        inflation = 1 + ((size**2).sum(axis=1) / total - 1) * correlation
    return Agreement(correlation, inflation, sites)


def _by_site(groups: Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sites' means (NaN for empty ones), which are treated, and their sizes."""
    assert groups.site is not None, "the caller has looked"
    trials, many = len(groups.value), int(groups.site.max(initial=0)) + 1
    seen = np.isfinite(groups.value) & (groups.site >= 0)
    row = np.arange(trials)[:, None] * many + np.maximum(groups.site, 0)
    shape = (trials, many)

    def summed(values: np.ndarray) -> np.ndarray:
        found = np.bincount(row[seen], values[seen], minlength=trials * many)
        return found.reshape(shape)

    size = summed(np.ones(seen.shape))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = summed(np.where(seen, groups.value, 0.0)) / np.where(size, size, np.nan)
    return means, summed(groups.treated.astype(float)) > size / 2, size
