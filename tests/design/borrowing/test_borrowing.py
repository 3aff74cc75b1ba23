"""Priors from earlier trials against RBesT's printed values, and against integrals.

RBesT 1.11-0 prints these in its articles "Getting started with RBesT (binary)" and
"RBesT for a Normal Endpoint", and on the page of `ess`
(https://opensource.nibr.com/RBesT, read 2026-12-02). Its MAP priors are 4,000 draws of
a Markov chain, and its mixtures are fitted to those; what is computed of a mixture
that is given is exact there.
"""

import numpy as np
import pytest
from scipy import integrate, special, stats

from vtrial.design.borrowing import (
    beta_mixture,
    contrast_moments,
    effective_size,
    exchange,
    fit_mixture,
    normal_mixture,
    power_prior_of_mean,
    power_prior_of_rate,
    predict_mean,
    predict_rate,
    probability_beyond,
    robust,
    with_mean,
    with_responses,
)
from vtrial.errors import ProtocolError

EVENTS = np.array([23, 12, 19, 9, 39, 6, 9, 10])
COUNT = np.array([107, 44, 51, 39, 139, 20, 78, 35])
MAP_AS = beta_mixture(
    (0.4612914, 33.9513487, 103.0146367),
    (0.1917812, 19.4400089, 41.5205219),
    (0.1893896, 12.2692310, 55.9202833),
    (0.1575378, 2.2521243, 5.4812202),
)
ROBUST_AS = robust(MAP_AS, 0.2)
ACTIVE = beta_mixture((1, 0.5, 1))
MAP_CROHN = normal_mixture(
    (0.50104846, -51.42408665, 19.04525409),
    (0.41871594, -47.25917128, 7.85193726),
    (0.08023561, -55.07086416, 44.57325000),
)
ROBUST_CROHN = robust(MAP_CROHN, 0.2, middle=-50.0, spread=88.0)


def whole(value):
    return np.array(value)


def test_given_mixtures_are_summed_up_as_rbest_does():
    found = [MAP_AS.mean, MAP_AS.deviation]
    found += [MAP_AS.quantile(level) for level in (0.025, 0.5, 0.975)]
    assert found[:2] == pytest.approx([0.25545885, 0.08662045], abs=5e-9)
    # RBesT searches for quantiles until they are within about 5e-5.
    assert found[2:] == pytest.approx([0.107304, 0.24758768, 0.46276759], abs=5e-5)


@pytest.mark.parametrize(
    ("mixture", "by", "deviation", "printed", "digits"),
    [
        (MAP_AS, "ELIR", 0.0, 38, 0),
        (robust(MAP_AS, 1.0), "ELIR", 0.0, 2, 9),
        (MAP_AS, "moment", 0.0, 24, 0),
        (ROBUST_AS, "ELIR", 0.0, 27, 0),
        (beta_mixture((0.2, 1, 1), (0.8, 10, 2)), "ELIR", 0.0, 7.65152, 5),
        (beta_mixture((0.2, 1, 1), (0.8, 10, 2)), "moment", 0.0, 3.161034, 6),
        (normal_mixture((0.5, 0, 2), (0.5, 3, 4)), "ELIR", 10.0, 10.82796, 5),
        (normal_mixture((0.5, 0, 2), (0.5, 3, 4)), "moment", 10.0, 8.163265, 6),
        (normal_mixture((0.5, 0, 2), (0.5, 3, 4)), "ELIR", 20.0, 43.31185, 5),
        (MAP_CROHN, "ELIR", 88.0, 39, 0),
        (MAP_CROHN, "moment", 88.0, 21, 0),
        (ROBUST_CROHN, "ELIR", 88.0, 28, 0),
    ],
)
def test_priors_are_worth_what_rbest_says(mixture, by, deviation, printed, digits):
    found = effective_size(mixture, by, deviation=deviation)
    assert round(found, digits) == pytest.approx(printed, abs=1e-12)


def test_effects_are_as_probable_as_rbest_says():
    lancet = (
        with_responses(ACTIVE, whole(14), whole(24)),
        with_responses(ROBUST_AS, whole(1), whole(6)),
    )
    found = float(probability_beyond(*lancet, 0.0))
    assert found == pytest.approx(0.9917197, abs=1e-7)
    vague = normal_mixture((1, -50, 88))
    crohn = (
        with_mean(vague, whole(-29.2), whole(14.0)),
        with_mean(ROBUST_CROHN, whole(-63.1), whole(13.9)),
    )
    below = [1 - float(probability_beyond(*crohn, margin)) for margin in (0.0, -50.0)]
    assert below[0] == pytest.approx(0.06270104, abs=1e-8)
    assert below[1] == pytest.approx(3.827361e-06, abs=1e-12)


def power(active, control, effect, counts):
    """Return how often P(effect > 0) > 0.95, over all that can happen."""
    n, m = counts
    r, s = np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij")
    chance = probability_beyond(
        with_responses(active, r.ravel(), np.full(r.size, n)),
        with_responses(control, s.ravel(), np.full(s.size, m)),
        0.0,
    ).reshape(r.shape)
    low = float(MAP_AS.mean)
    weight = np.outer(
        stats.binom.pmf(np.arange(n + 1), n, low + effect),
        stats.binom.pmf(np.arange(m + 1), m, low),
    )
    return (weight * (chance > 0.95)).sum()


@pytest.mark.parametrize(
    ("active", "control", "counts", "printed"),
    [
        (ACTIVE, MAP_AS, (24, 6), 0.302),
        (beta_mixture((1, 1, 1)), beta_mixture((1, 1, 1)), (24, 24), 0.341),
        (ACTIVE, ROBUST_AS, (24, 6), 0.368),
        (beta_mixture((1, 1, 1)), beta_mixture((1, 1, 1)), (24, 6), 0.529),
    ],
)
def test_eighty_per_cent_power_is_where_rbest_finds_it(
    active, control, counts, printed
):
    around = [
        power(active, control, printed + off, counts) for off in (-0.0006, 0.0006)
    ]
    assert around[0] < 0.8 < around[1]


@pytest.fixture(scope="module")
def predicted():
    return predict_rate(EVENTS, COUNT)


def test_the_prediction_is_within_the_noise_of_rbests_chain(predicted):
    found = [predicted.mean, predicted.deviation, predicted.quantile(0.5)]
    # 0.255, 0.0864 and 0.247 of 4,000 draws, whose mean has an error above 0.0014.
    assert found == pytest.approx([0.255, 0.0864, 0.247], abs=0.0042)
    tau = float((predicted.tau * predicted.tau_mass).sum())
    assert tau == pytest.approx(0.387, abs=0.0102)  # three errors, as above
    careful = predict_rate(EVENTS, COUNT, heterogeneity=0.5)
    assert [careful.mean, careful.deviation] == pytest.approx([0.259, 0.0776], abs=4e-3)


def test_the_prediction_is_the_integral(predicted):
    theta, step = np.linspace(-6.0, 4.0, 801, retstep=True)
    likely = EVENTS[:, None] * theta - COUNT[:, None] * np.logaddexp(0.0, theta)
    likely = np.exp(likely - likely.max(axis=1, keepdims=True))
    mu = np.linspace(-3.5, 1.5, 121)
    total = np.zeros_like(theta)
    taus = np.arange(0.0125, 4.5, 0.025)
    for tau in taus:
        kernel = np.exp(-0.5 * ((theta - mu[:, None]) / tau) ** 2) / tau
        own = np.prod(kernel @ likely.T, axis=1)
        own *= np.exp(-(mu**2) / 8 - tau**2 / 2)
        total += own @ (kernel / kernel.sum(axis=1, keepdims=True))
    rate, mass = special.expit(theta), total / total.sum()
    mean = (mass * rate).sum()
    spread = np.sqrt((mass * (rate - mean) ** 2).sum())
    assert predicted.mean == pytest.approx(mean, abs=2e-4)
    assert predicted.deviation == pytest.approx(spread, abs=3e-4)


def test_a_mixture_in_its_place_says_how_close_it_is(predicted):
    fitted = fit_mixture(predicted)
    assert fitted.apart < 0.005
    assert fitted.mixture.mean == pytest.approx(predicted.mean, abs=2e-4)
    # RBesT's mixture of its own draws is worth 38 and 24.
    assert effective_size(fitted.mixture) == pytest.approx(37, abs=0.5)
    assert effective_size(fitted.mixture, "moment") == pytest.approx(24, abs=0.5)


def test_means_are_predicted_within_the_noise_of_rbests_chain():
    mean = np.array([-51.0, -49, -36, -47, -90, -54])
    error = 88 / np.sqrt(np.array([74, 166, 328, 20, 25, 58]))
    made = predict_mean(mean, error, heterogeneity=44.0, spread=88.0)
    found = [made.mean, made.deviation, made.quantile(0.5)]
    assert found == pytest.approx([-50.0, 19.3, -48.6], abs=0.9)
    tau = float((made.tau * made.tau_mass).sum())
    assert tau == pytest.approx(14.3, abs=0.5)
    fitted = fit_mixture(made).mixture
    assert round(effective_size(fitted, "moment", deviation=88.0)) == 21


def test_a_power_prior_counts_the_past_by_its_weight():
    half = power_prior_of_rate(EVENTS, COUNT, 0.5)
    assert half.first.tolist() == [1 + EVENTS.sum() / 2]
    two = np.array([4.0, 6.0]), np.array([1.0, 1.0])
    mean = power_prior_of_mean(*two, 0.5, spread=9.0)
    assert float(mean.mean) == pytest.approx(5 / (1 + 1 / 81))
    made = with_responses(power_prior_of_rate(EVENTS, COUNT), whole(60), whole(100))

    def likely(weight, power_of_rate):
        r, n = EVENTS.sum() * weight, COUNT.sum() * weight
        whole_ = special.betaln(1 + r, 1 + n - r)
        return np.exp(special.betaln(61 + power_of_rate + r, 41 + n - r) - whole_ + 60)

    parts = [
        integrate.quad(likely, 0, 1, (k,), points=(0.01, 0.1), epsrel=1e-11)[0]
        for k in (0, 1)
    ]
    assert float(made.mean) == pytest.approx(parts[1] / parts[0], rel=1e-9)


@pytest.mark.parametrize("scale", ["difference", "ratio", "odds"])
def test_effects_of_rates_are_integrals(scale):
    arm, reference = beta_mixture((1, 4, 9)), beta_mixture((0.3, 0.5, 2), (0.7, 6, 9))
    rng = np.random.default_rng(5)
    x = rng.beta(4, 9, 400_000)
    first = rng.random(x.size) < 0.3
    y = np.where(first, rng.beta(0.5, 2, x.size), rng.beta(6, 9, x.size))
    effect = {"difference": x - y, "ratio": x / y, "odds": x / (1 - x) * (1 - y) / y}
    margin = 0.1 if scale == "difference" else 1.2
    found = float(probability_beyond(arm, reference, margin, scale=scale))
    assert found == pytest.approx((effect[scale] > margin).mean(), abs=3e-3)
    told = effect[scale] if scale == "difference" else np.log(effect[scale])
    mean, spread = contrast_moments(arm, reference, scale=scale)
    assert float(mean) == pytest.approx(told.mean(), abs=0.02)
    assert float(spread) == pytest.approx(told.std(), rel=0.02)


Y = np.array([[0.3, 1.1, 0.2], [0.0, np.nan, 2.0]])
S = np.array([[0.4, 0.5, 0.3], [0.4, np.nan, 0.4]])
MODEL = {"heterogeneity": 0.5, "spread": 1.5, "centre": 0.1, "margin": 0.25}


def test_subgroups_share_as_the_model_says():
    made = exchange(Y, S, alike=0.6, **MODEL)
    rng, many = np.random.default_rng(1), 400_000
    mu, tau = rng.normal(0.1, 1.5, many), np.abs(rng.normal(0, 0.5, many))
    log, theta, alike = np.zeros(many), [], []
    for y, s in zip(Y[0], S[0], strict=True):
        one = rng.random(many) < 0.6
        own = rng.normal(0.1, 1.5, many)
        theta.append(np.where(one, mu + tau * rng.normal(size=many), own))
        alike.append(one)
        log -= 0.5 * ((y - theta[-1]) / s) ** 2
    weight = np.exp(log) / np.exp(log).sum()  # worth about 23,000 draws
    for j in range(3):
        mean = (weight * theta[j]).sum()
        spread = np.sqrt((weight * (theta[j] - mean) ** 2).sum())
        beyond = (weight * (theta[j] > 0.25)).sum()
        found = [made.mean[0, j], made.deviation[0, j], made.beyond[0, j]]
        assert found == pytest.approx([mean, spread, beyond], abs=0.012)
        assert made.alike[0, j] == pytest.approx((weight * alike[j]).sum(), abs=0.014)


def test_subgroups_alone_are_conjugate_and_one_not_seen_says_nothing():
    alone = exchange(Y, S, alike=0.0, **MODEL)
    precision = 1 / S**2 + 1 / 1.5**2
    mean = (Y / S**2 + 0.1 / 1.5**2) / precision
    seen = np.isfinite(Y)
    assert alone.mean[seen] == pytest.approx(mean[seen], rel=1e-12)
    assert alone.deviation[seen] == pytest.approx(precision[seen] ** -0.5, rel=1e-12)
    both = exchange(Y, S, alike=0.6, **MODEL)
    two = exchange(Y[1:, [0, 2]], S[1:, [0, 2]], alike=0.6, **MODEL)
    assert both.mean[1, [0, 2]] == pytest.approx(two.mean[0], rel=1e-9)
    pooled = exchange(Y[:1], S[:1], alike=1.0, **{**MODEL, "heterogeneity": 1e-4})
    assert np.ptp(pooled.mean) < 1e-3


def test_requests_that_make_no_sense_are_refused():
    with pytest.raises(ProtocolError, match="at most 8"):
        exchange(np.zeros((1, 9)), np.ones((1, 9)), alike=0.5, **MODEL)
    with pytest.raises(ProtocolError, match="events"):
        predict_rate(np.array([5]), np.array([3]))
    with pytest.raises(ProtocolError, match="share from 0 to 1"):
        power_prior_of_rate(EVENTS, COUNT, 1.5)
    with pytest.raises(ProtocolError, match="deviation"):
        effective_size(MAP_CROHN)
