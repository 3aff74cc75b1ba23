"""MCP-Mod against what DoseFinding prints, against other integrals, and by its laws.

Printed values are those of DoseFinding's reference pages and articles (the folders
`reference` and `articles` of openpharma/DoseFinding at 47ecc6c, GPL-3; numbers only).
"""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from vtrial.errors import ProtocolError
from vtrial.measure.dose_response import (
    candidate,
    critical_value,
    fit_shape,
    mcp_mod,
    multiple_contrast_test,
    optimal_contrasts,
    shapes,
    tail_of_maximum,
)

DOSES = np.array([0.0, 10, 25, 50, 100, 150])
# Their beta curve is scaled with 200; ours with 1.2 times the highest dose, here 180.
CANDIDATES = [
    candidate("linear"),
    candidate("emax", 25),
    candidate("logistic", 50, 10.88111),
    candidate("exponential", 85),
]
PRINTED = np.array(  # reference/optContr.md
    [
        [-0.42795997, -0.70574595, -0.40645053, -0.3316718],
        [-0.35131042, -0.31666702, -0.39242821, -0.3019187],
        [-0.23633610, -0.02485782, -0.32885490, -0.2501813],
        [-0.04471224, 0.20210489, 0.06107771, -0.1408259],
        [0.33853550, 0.38367506, 0.52860594, 0.2028509],
        [0.72178323, 0.46149085, 0.53804999, 0.8217468],
    ]
).T
BRONCHI = np.array([0.0, 12.5, 25, 50, 100])  # Verkindre 2010: NVA237, FEV1 in litres
LUNG = np.array([[1.243, 1.317, 1.333, 1.374, 1.385]])
LUNG_CANDIDATES = [
    candidate("emax", 2.6),
    candidate("emax", 12.5),
    candidate("sigEmax", 30.5, 3.5),
    candidate("quadratic", -0.00776),
]


def test_contrasts_of_dosefinding():
    made = optimal_contrasts(CANDIDATES, DOSES, sizes=np.full(6, 50.0))
    np.testing.assert_allclose(made, PRINTED, atol=6e-8)


def test_contrasts_of_beta_curves():
    """articles/binary_data.md: three digits; scaled by 1.2 times the highest dose."""
    doses = np.array([0, 0.5, 1.5, 2.5, 4])
    made = optimal_contrasts(
        [
            candidate("emax", 0.25),
            candidate("sigEmax", 2.5, 4),
            candidate("betaMod", 1.1, 1.1),
        ],
        doses,
    )
    printed = [
        [-0.861, -0.010, 0.233, 0.299, 0.340],
        [-0.391, -0.389, -0.240, 0.268, 0.752],
        [-0.679, -0.255, 0.383, 0.573, -0.022],
    ]
    np.testing.assert_allclose(made, printed, atol=5.1e-4)


def test_test_of_verkindre_2010():
    """articles/analysis_normal.md: 60 a group, standard errors of 0.015."""
    contrasts = optimal_contrasts(LUNG_CANDIDATES, BRONCHI)
    printed = [
        [-0.886, 0.116, 0.211, 0.265, 0.294],
        [-0.813, -0.101, 0.136, 0.326, 0.452],
        [-0.486, -0.439, -0.120, 0.448, 0.597],
        [-0.723, -0.240, 0.140, 0.587, 0.236],
    ]
    np.testing.assert_allclose(contrasts, printed, atol=5.1e-4)
    covariance = 0.015**2 * np.eye(5)
    made = multiple_contrast_test(LUNG, contrasts, covariance, freedom=295)
    np.testing.assert_allclose(
        made.statistic[0], [6.937000, 7.442849, 6.675739, 7.016303], atol=6e-7
    )
    # Their p-values (1.2e-11, 5.4e-13, ...) have an error of 1e-3 by default and here
    # are below those of one statistic alone, which no adjusted one can be.
    one = stats.t.sf(made.statistic[0], 295)
    assert (made.p[0] > one).all()
    assert (made.p[0] < len(one) * one).all()
    correlation = [0.957, 0.648, 0.867, 0.839, 0.929, 0.844]
    np.testing.assert_allclose(
        made.correlation[np.triu_indices(4, 1)], correlation, atol=5.1e-4
    )


@pytest.mark.parametrize(
    ("freedom", "printed"), [(1, 9.509978), (20, 2.027525), (np.inf, 1.916399)]
)
def test_critical_values_of_dosefinding(freedom, printed):
    """reference/critVal.md: two statistics with correlation one half, 5 %.

    R's search ends within 1.2e-4; ours is held to an integral over one of the two.
    """
    made = critical_value(np.array([[1, 0.5], [0.5, 1]]), level=0.05, freedom=freedom)
    assert abs(made - printed) < 2.5e-4
    if np.isinf(freedom):

        def inside(x):
            return stats.norm.pdf(x) * stats.norm.cdf((made - 0.5 * x) / 0.75**0.5)

        both = integrate.quad(inside, -np.inf, made, epsabs=1e-12)[0]
        assert abs(both - 0.95) < 1e-9


@pytest.mark.parametrize(
    ("above", "statistic", "p"),
    [
        # README.md: IBScovars, with gender; 363 degrees of freedom
        ((0.768, 0.843, 0.948), (2.640, 3.208, 3.083), (0.00848, 0.00128, 0.00228)),
        # reference/MCTtest.md: the same data, other candidates
        (
            (0.715, 1.0, 0.617, 0.698, 0.863, 0.598),
            (3.178, 2.640, 3.164, 2.247),
            (0.00187, 0.01035, 0.00210, 0.02764),
        ),
    ],
)
def test_adjusted_p_values_of_dosefinding(above, statistic, p):
    """Theirs are drawn, with an error of up to 1e-3; correlations are rounded."""
    correlation = np.eye(len(p))
    correlation[np.triu_indices(len(p), 1)] = above
    correlation = correlation + correlation.T - np.eye(len(p))
    made = tail_of_maximum(np.array(statistic), correlation, freedom=363)
    np.testing.assert_allclose(made, p, atol=5e-4)


@pytest.mark.slow
def test_tails_against_another_integration():
    correlation = np.array([[1, 0.957, 0.648], [0.957, 1, 0.839], [0.648, 0.839, 1]])
    limit = np.array([-0.5, 0.7, 2.3])
    made = tail_of_maximum(limit, correlation)
    exact = {"abseps": 1e-7, "releps": 1e-7, "maxpts": 2_000_000}
    inside = stats.multivariate_normal.cdf
    theirs = [
        1 - inside(np.full(3, x), np.zeros(3), correlation, **exact) for x in limit
    ]
    np.testing.assert_allclose(made, theirs, rtol=2e-4)
    many = np.linspace(-3, 6, 1000)
    some = many[::50]
    np.testing.assert_allclose(
        tail_of_maximum(many, correlation)[::50],
        tail_of_maximum(some, correlation),
        rtol=1e-4,
    )


def test_one_statistic_is_students():
    limit = np.array([-1.0, 0.5, 2.0, 4.0])
    one = np.eye(1)
    np.testing.assert_allclose(
        tail_of_maximum(limit, one, freedom=7), stats.t.sf(limit, 7), rtol=1e-12
    )
    np.testing.assert_allclose(
        tail_of_maximum(limit[1:], one, two_sided=True),
        2 * stats.norm.sf(limit[1:]),
        rtol=1e-12,
    )


@pytest.mark.slow
def test_power_of_dosefinding():
    """reference/powMCT.md: 50 a group, 0.4 residual deviations, 5 % one-sided."""
    replicates, candidates, curves = 40_000, CANDIDATES, shapes()
    rng = np.random.default_rng(11)
    # Their test has two beta curves besides, whose contrasts they print.
    beta = np.array(
        [
            [-0.5661425, 0.3515776, 0.4607560, 0.3379656, -0.1207023, -0.4634544],
            [-0.5333855, -0.4179871, -0.1655178, 0.2447717, 0.6273470, 0.2447717],
        ]
    )
    contrasts = np.concatenate([optimal_contrasts(candidates, DOSES), beta])
    printed = (0.7015660, 0.6849209, 0.8519343, 0.6711498)
    for one, power in zip(candidates, printed, strict=True):
        curve = curves[one.word].curve(DOSES, np.array(one.guesses), 150.0)
        mean = 0.4 * (curve - curve[0]) / np.ptp(curve)
        drawn = mean + rng.normal(size=(replicates, 6)) / np.sqrt(50)
        variance = rng.chisquare(294, replicates) / 294
        made = multiple_contrast_test(
            drawn, contrasts, np.eye(6) / 50, scale=variance, freedom=294, level=0.05
        )
        share = made.significant.any(axis=1).mean()
        assert abs(share - power) < 3 * np.sqrt(power * (1 - power) / replicates)


def test_type_one_error():
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=(10_000, 5)) * 0.015
    contrasts = optimal_contrasts(LUNG_CANDIDATES, BRONCHI)
    made = multiple_contrast_test(drawn, contrasts, 0.015**2 * np.eye(5))
    shown = made.significant.any(axis=1)
    assert abs(shown.mean() - 0.025) < 2 * np.sqrt(0.025 * 0.975 / 10_000)
    np.testing.assert_array_equal(shown, made.p.min(axis=1) < 0.025)


@pytest.mark.parametrize("word", ["emax", "sigEmax", "logistic", "exponential"])
def test_contrasts_are_the_best_there_are(word):
    """No contrast among many has a larger standardised effect."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T + np.eye(5)
    guesses = {"emax": (8,), "sigEmax": (20, 3), "logistic": (40, 9)}
    one = candidate(word, *guesses.get(word, (60,)))
    best = optimal_contrasts([one], BRONCHI, covariance=covariance)[0]
    mean = shapes()[word].curve(BRONCHI, np.array(one.guesses), 100.0)

    def effect(contrast):
        return contrast @ mean / np.sqrt(contrast @ covariance @ contrast)

    assert abs(best.sum()) < 1e-12
    others = rng.normal(size=(2000, 5))
    others -= others.mean(axis=1, keepdims=True)
    assert max(effect(c) for c in others) < effect(best)

    # The least variance of a contrast with an effect of 1, by Lagrange's multipliers.
    sides = np.stack([mean, np.ones(5)])
    system = np.block([[covariance, sides.T], [sides, np.zeros((2, 2))]])
    found = np.linalg.solve(system, np.append(np.zeros(5), [1, 0]))[:5]
    np.testing.assert_allclose(found / np.linalg.norm(found), best, atol=1e-9)


TRUTHS = {
    "linear": (),
    "linlog": (),
    "emax": (15.0,),
    "sigEmax": (22.0, 2.5),
    "exponential": (60.0,),
    "logistic": (35.0, 11.0),
    "betaMod": (0.8, 1.3),
}


@pytest.mark.parametrize("word", list(TRUTHS))
def test_fits_find_the_curve_they_come_from(word):
    theta = np.array(TRUTHS[word])
    curve = 1.5 - 0.7 * shapes()[word].curve(DOSES, theta, 150.0)
    made = fit_shape(word, DOSES, curve[None], np.diag([1.0, 2, 1, 3, 1, 1]))
    assert made.loss[0] < 1e-9
    np.testing.assert_allclose(made.at(DOSES)[0], curve, atol=1e-5)
    np.testing.assert_allclose(made.theta[0], theta, rtol=1e-3)


def test_quadratic_fits_both_coefficients():
    curve = 1 + 0.03 * DOSES - 1e-4 * DOSES**2
    made = fit_shape("quadratic", DOSES, curve[None], np.eye(6))
    np.testing.assert_allclose(made.linear[0], [1, 0.03, -1e-4], rtol=1e-9)


def test_fits_agree_with_another_search():
    rng = np.random.default_rng(8)
    root = rng.normal(size=(6, 6)) / 20
    covariance = root @ root.T + 0.003 * np.eye(6)
    mean = 0.3 + 0.8 * DOSES / (20 + DOSES)
    drawn = mean + rng.multivariate_normal(np.zeros(6), covariance, size=20)
    made = fit_shape("emax", DOSES, drawn, covariance)
    inverse = np.linalg.cholesky(np.linalg.inv(covariance)).T
    for row, one in enumerate(drawn):

        def rest(p, one=one):
            return inverse @ (one - p[0] - p[1] * DOSES / (p[2] + DOSES))

        bounds = ([-np.inf, -np.inf, 0.15], [np.inf, np.inf, 225])
        found = optimize.least_squares(
            rest, (0.3, 0.8, 20), bounds=bounds, x_scale=(1, 1, 20), xtol=1e-14
        )
        assert made.loss[row] <= 2 * found.cost + 1e-8
    np.testing.assert_allclose(made.criterion, made.loss + 6)


@pytest.mark.parametrize(
    "choose",
    [
        "average",
        pytest.param("AIC", marks=pytest.mark.slow),
        pytest.param("statistic", marks=pytest.mark.slow),
    ],
)
def test_procedure_finds_the_dose_that_is_enough(choose):
    """The truth of 0.8 d / (20 + d) has an effect of 0.4 at a dose of 20."""
    rng = np.random.default_rng(4)
    mean = 0.8 * DOSES / (20 + DOSES)
    drawn = mean + 0.02 * rng.normal(size=(200, 6))
    candidates = [candidate("emax", 25), candidate("linear"), candidate("step", 25)]
    made = mcp_mod(
        candidates, DOSES, drawn, 0.02**2 * np.eye(6), effect=0.4, choose=choose
    )
    assert made.shown.all()
    np.testing.assert_allclose(made.weights.sum(axis=1), 1)
    assert abs(np.median(made.target) - 20) < 1
    at = made.at(np.array([0.0, 20]))
    assert abs(np.median(at[:, 1] - at[:, 0]) - 0.4) < 0.01


def test_procedure_without_a_response_has_no_dose():
    rng = np.random.default_rng(4)
    drawn = 0.1 * rng.normal(size=(50, 6))
    made = mcp_mod(CANDIDATES, DOSES, drawn, np.eye(6), effect=0.4)
    assert not made.shown.any()
    assert np.isnan(made.target).all()
    assert np.isnan(made.at(DOSES)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: candidate("emaxx", 1), "one of linear"),
        (lambda: candidate("emax"), "one each of ed50"),
        (lambda: optimal_contrasts([candidate("step", 500)], DOSES), "highest dose"),
        (lambda: optimal_contrasts([candidate("emax", -1)], DOSES), "positive"),
        (lambda: fit_shape("step", DOSES, np.ones((1, 6)), np.eye(6)), "can be fitted"),
        (
            lambda: fit_shape("sigEmax", DOSES[:3], np.ones((1, 3)), np.eye(3)),
            "at least 4",
        ),
        (lambda: critical_value(np.eye(2), level=0.7), "below 0.5"),
        (lambda: critical_value(np.ones((2, 2)) * 2), "ones on the diagonal"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ProtocolError, match=words):
        call()
