"""How much falls into a stage: counted where nothing moves, bounded where it may."""

import numpy as np
import pytest

from vtrial.dosing.doses import AFTER_DOSE, BEFORE_DOSE
from vtrial.observe.width import Planned, counted, within

DAILY = 24.0 * np.arange(168)
WEEKLY = 168.0 * np.arange(1, 25)


def planned(times, rank):
    """Return observations that all stand on one side of a dose."""
    times = np.asarray(times, float)
    return Planned(times, np.full(times.size, rank))


NOTHING = planned([], BEFORE_DOSE)


def test_a_dose_at_the_end_of_a_stage_is_in_the_next():
    found = counted(WEEKLY, planned(WEEKLY, BEFORE_DOSE), NOTHING, DAILY)
    assert found == (1, 0, 7)


def test_an_observation_after_a_dose_at_the_end_is_in_the_next():
    ends = np.array([24.0, 48.0])
    after = planned([24.0, 24.0, 36.0], AFTER_DOSE)
    assert counted(ends, after, NOTHING, np.zeros(0)).visits == 3
    before = planned([24.0, 24.0, 36.0], BEFORE_DOSE)
    assert counted(ends, before, NOTHING, np.zeros(0)).visits == 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_counted_is_what_stands_there(seed):
    chance = np.random.default_rng(seed)
    ends = np.sort(chance.integers(0, 40, 6)).astype(float)
    doses, seen = chance.integers(0, 40, (2, 30)).astype(float)
    rank = chance.choice([BEFORE_DOSE, AFTER_DOSE], 30)
    found = counted(ends, Planned(seen, rank), NOTHING, np.sort(doses))
    past, most = 0, [0, 0]
    gone = np.zeros(30, bool)
    for end in ends:
        in_time = (seen < end) | ((seen == end) & (rank < AFTER_DOSE))
        most[0] = max(most[0], int((in_time & ~gone).sum()))
        gone |= in_time
        most[1] = max(most[1], int((doses < end).sum()) - past)
        past = int((doses < end).sum())
    assert (found.visits, found.doses) == tuple(most)


def test_a_bound_holds_whatever_moves():
    bound = within(168.0, planned(WEEKLY, 0), NOTHING, [DAILY, WEEKLY], jitter=12.0)
    assert bound == (2, 0, 9)
