"""Selection by an earlier endpoint: who is of which stage, and the family's error."""

import numpy as np
import pytest
from scipy import stats

from tests.design.sights import Given
from tests.design.test_enact import DAILY
from vtrial.design.enact import enact
from vtrial.design.sequential.closed import closed_dunnett
from vtrial.design.trials import Decision
from vtrial.protocol.design import Allocation
from vtrial.protocol.enactment import Adaptation, Enactment, Look, Milestone

SUBJECTS, ARMS, SOON, LATE = 150, 4, 0.0, 60.0
EVEN = Allocation((1,) * ARMS, "permuted block", ARMS)
PAIRS = {f"arm {place}": (place, 0) for place in range(1, ARMS)}
RULE = Adaptation(
    *("pick", "select arms", tuple(PAIRS), (0, 1)),
    options=(("best", 1.0), ("early", "early")),
)


def of(count):
    return ((Milestone("known", float(count)),),)


def design(rule=RULE):
    # Half of the subjects have shown the early endpoint at the look, few the other.
    looks = (
        Look("pick", of(75), outcome="early", stage=0.5),
        Look("end", of(SUBJECTS), 1.0),
    )
    return Enactment(DAILY, "x", looks=looks, adaptations=(rule,), planned=SUBJECTS)


def outcomes(trials, *, correlation, early=(0.0,) * ARMS, late=(0.0,) * ARMS, seed=1):
    """Draw the early and the tested outcome of each subject, which go together."""
    noise = np.random.default_rng(seed).normal(size=(2, trials, SUBJECTS, 1))
    other = correlation * noise[0] + np.sqrt(1 - correlation**2) * noise[1]
    return noise[0] + np.asarray(early), other + np.asarray(late)


def enacted(soon, late, made=None):
    sight = Given(late, PAIRS, after=LATE, early=soon, soon=SOON)
    return enact(
        made or design(),
        EVEN,
        sight,
        comparisons=list(PAIRS),
        seed=11,
        trials=np.arange(len(late)),
        subjects=SUBJECTS,
    )


@pytest.mark.parametrize(
    "trials", [1500, *(pytest.param(n, marks=pytest.mark.slow) for n in (20_000,))]
)
@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_the_error_of_the_family_is_kept(trials, correlation):
    """99.7 % binomial limits of 2.5 %, however the outcomes go together."""
    soon, late = outcomes(trials, correlation=correlation)
    error = enacted(soon, late).success.any(axis=1).mean()
    assert error < 0.025 + 3 * np.sqrt(0.025 * 0.975 / trials)
    assert error > 0.025 - 4 * np.sqrt(0.025 * 0.975 / trials)


@pytest.mark.parametrize(
    "trials", [1500, *(pytest.param(n, marks=pytest.mark.slow) for n in (20_000,))]
)
def test_an_early_effect_alone_shows_nothing(trials):
    soon, late = outcomes(trials, correlation=0.95, early=(0.0, 0.0, 0.4, 1.0))
    made = enacted(soon, late)
    assert (made.allocated[:, 3] > made.allocated[:, 1]).mean() > 0.95
    error = made.success.any(axis=1).mean()
    assert error < 0.025 + 3 * np.sqrt(0.025 * 0.975 / trials)


def test_stages_by_what_was_known_would_not_keep_the_error():
    """Whoever has led to the selection by the early outcome is of the first stage.

    With the few who had the tested outcome at the look as the first, the others of
    them, chosen for what goes with it, would be of the second.
    """
    trials = 6000
    soon, late = outcomes(trials, correlation=0.95)
    made = enacted(soon, late)
    came = np.arange(SUBJECTS) + 0.5
    at = made.at[:, 0]
    np.testing.assert_allclose(at, 74.5 + SOON)
    chosen = (made.decision[:, 0] == Decision.GO_ON).argmax(axis=1)
    assert (made.decision[:, 0] == Decision.GO_ON).sum(axis=1).max() == 1
    arms = _arms(chosen, made)
    naive = _shown(late, arms, chosen, first=came + LATE <= 74.5)
    assert naive.any(axis=1).mean() > 0.025 + 3.5 * np.sqrt(0.025 * 0.975 / trials)
    few = slice(500)
    ours = _shown(late[few], arms[few], chosen[few], first=came <= 74.5)
    np.testing.assert_array_equal(ours, made.success[few])


def _arms(chosen, made):
    """Return the arms as they were given: in blocks at first, then between two."""
    from vtrial.design.allocation import allocate
    from vtrial.design.draws import uniforms

    trials = len(chosen)
    shape = {"seed": 11, "trials": np.arange(trials), "subjects": SUBJECTS}
    arm = allocate(
        EVEN,
        seed=11,
        replicate=np.repeat(np.arange(trials), SUBJECTS),
        subject=np.tile(np.arange(SUBJECTS), trials),
    ).reshape(trials, SUBJECTS)
    later = np.where(uniforms("adapted arms", **shape) < 0.5, 0, chosen[:, None] + 1)
    arm = np.where(np.arange(SUBJECTS) < 75, arm, later)
    counts = np.stack([(arm == one).sum(axis=1) for one in range(ARMS)], axis=1)
    np.testing.assert_array_equal(counts, made.allocated)
    return arm


def _shown(late, arms, chosen, *, first):
    """Test closed, with who is `first` as the first stage."""
    own = np.take_along_axis(late, arms[..., None], axis=2)[..., 0]
    stages = []
    for stage in (first, ~first):
        mean, count = (
            np.stack([(v * (arms == k) * stage).sum(axis=1) for k in range(ARMS)], 1)
            for v in (own, np.ones_like(own))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = mean / count
            error = np.sqrt(1 / count[:, 1:] + 1 / count[:, :1])
            z = (mean[:, 1:] - mean[:, :1]) / error
        stages.append(np.where(np.isfinite(z), z, 0.0))
    gone = np.arange(ARMS - 1) != chosen[:, None]
    after = np.where(gone, np.nan, stages[1])
    return closed_dunnett(stages[0], after, information=float(first.mean()))


def test_lower_may_be_better_early():
    rule = Adaptation(
        *("pick", "select arms", tuple(PAIRS), (0, 1)),
        options=(("best", 1.0), ("early", "early"), ("early better", "lower")),
    )
    soon, late = outcomes(
        200, correlation=0.5, early=(0, 0, -1.5, 0), late=(0, 0, 1, 0)
    )
    made = enacted(soon, late, design(rule))
    assert (made.decision[:, 0].argmin(axis=1) == 1).mean() > 0.97
    assert made.success[:, 1].mean() > 0.9
    power = stats.norm.cdf(1 / np.sqrt(2 / 45) - stats.norm.isf(0.025 / 3))
    assert made.success[:, 1].mean() > power - 0.1
