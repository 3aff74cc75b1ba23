"""Selection of a subgroup: who is enrolled, and the error of the family."""

import numpy as np
import pytest
from scipy import special, stats

from tests.design.sights import Given
from tests.design.test_enact import DAILY, EVEN, look
from vtrial.design.enact import enact
from vtrial.design.kinds.subgroup import both
from vtrial.design.trials import Decision
from vtrial.protocol.enactment import Adaptation, Enactment


def design(**options):
    given = {"least": 0.5, **options}
    rule = Adaptation(
        *("enrich", "select subgroup", ("all", "high"), (0, 1)),
        options=(*given.items(),),
    )
    looks = (look("half", "known", 60, 0.5), look("end", "known", 120, 1.0))
    return Enactment(DAILY, "x", looks=looks, adaptations=(rule,), planned=120)


def enacted(made, trials, *, inside=0.0, outside=0.0, share=0.4, seed=1):
    """Enact trials of which a share is in the subgroup, each with its own effect."""
    rng = np.random.default_rng(seed)
    member = rng.random((trials, 240)) < share
    effect = np.where(member, inside, outside)
    value = rng.normal(size=(trials, 240, 1)) + effect[..., None] * [0.0, 1.0]
    sight = Given(value, {"all": (1, 0), "high": (1, 0)}, subgroups={"high": member})
    shape = {"seed": 11, "trials": np.arange(trials), "subjects": 240}
    return enact(made, EVEN, sight, comparisons=["all", "high"], **shape)


def test_the_statistic_of_both_is_that_of_the_larger_of_two_normal_ones():
    for whole, part, correlation in ((1.3, 2.1, 0.6), (-0.4, -1.0, 0.3)):
        normal = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
        wanted = 1 - normal.cdf([max(whole, part)] * 2)
        made = both(np.array(whole), np.array(part), np.array(correlation))
        np.testing.assert_allclose(special.ndtr(-made), wanted, rtol=1e-6)


def test_only_the_subgroup_is_enrolled_once_it_goes_on_alone():
    made = enacted(design(), 100, inside=0.8, outside=-0.3)
    alone = made.decision[:, 0, 0] == Decision.FUTILE
    assert alone.mean() > 0.5
    assert not made.success[alone, 0].any()
    assert made.success[alone, 1].mean() > 0.8
    # A subgroup of 40 % needs 150 more comers for 60; 180 are there.
    assert (made.duration[alone] > 1.4 * made.duration[~alone].max()).mean() > 0.5
    assert (made.size[~alone] == 120).all()
    assert made.size[alone].max() == 120


def test_what_is_hopeless_in_both_ends():
    made = enacted(design(futility=0.99), 50, inside=-1.0, outside=-1.0)
    assert (made.ended == 0).all()
    assert not made.success.any()


@pytest.mark.parametrize(
    "trials",
    [400, *(pytest.param(n, marks=pytest.mark.slow) for n in (2000, 10_000))],
)
@pytest.mark.parametrize("least", [0.5, pytest.param(0.95, marks=pytest.mark.slow)])
def test_the_error_of_the_family_is_kept(trials, least):
    """99.7 % binomial limits; the closed test is not above its level, nor far below."""
    made = enacted(design(least=least), trials)
    error = made.success.any(axis=1).mean()
    assert error < 0.025 + 3 * np.sqrt(0.025 * 0.975 / trials)
    assert error > 0.01 or trials < 2000


def test_what_is_true_of_everybody_only_is_shown_of_everybody():
    """A subgroup without an effect of its own is shown too often by chance only."""
    made = enacted(design(), 250, inside=0.0, outside=1.2)
    assert made.success[:, 1].mean() < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 250)
    assert made.success[:, 0].mean() > 0.7
