"""Enrolment at sites: who comes where and when, and what sites hold."""

import numpy as np
import pytest

from vtrial.protocol.arrivals import enrolled_at, enrolments
from vtrial.protocol.enactment import Accrual, Site, Stretch

DAILY = 1 / 24


def site(name, *, opens=0.0, rate=DAILY, **more):
    return Site(name, (Stretch(opens, rate, rate),), **more)


SITES = (
    site("north", cap=5),
    site("south", opens=240.0, rate=3 * DAILY),
    site("west", opens=120.0, cap=12),
)
POISSON = Accrual(by="poisson", sites=SITES)


def at(accrual, *, trials, subjects):
    return enrolled_at(accrual, seed=4, trials=np.array(trials), subjects=subjects)


def test_caps_and_openings_hold():
    found = at(POISSON, trials=range(50), subjects=60)
    assert (np.diff(found.time, axis=1) >= 0).all()
    for place, one in enumerate(SITES):
        here = found.site == place
        assert (found.time[here] > one.opens).all()
        if one.cap:
            assert here.sum(axis=1).max() == one.cap
    assert np.isfinite(found.time).all()


def test_a_larger_trial_begins_as_a_smaller_and_trials_stand_alone():
    large, small = (at(POISSON, trials=range(6), subjects=n) for n in (90, 25))
    np.testing.assert_array_equal(large.time[:, :25], small.time)
    np.testing.assert_array_equal(large.site[:, :25], small.site)
    alone = at(POISSON, trials=[4], subjects=90)
    np.testing.assert_array_equal(alone.time[0], large.time[4])
    made = enrolments(POISSON, seed=4, trials=np.array([4]), subjects=90)
    np.testing.assert_array_equal(made, alone.time)


def test_another_site_moves_nobody_at_the_others():
    more = Accrual(by="poisson", sites=(site("east"), *SITES[::-1]))
    one, other = at(POISSON, trials=[0], subjects=60), at(more, trials=[0], subjects=90)
    for place, name in enumerate(("north", "south", "west")):
        mine = one.time[one.site == place]
        assert name == SITES[place].name
        theirs = other.time[other.site == 3 - place]
        both = min(len(mine), len(theirs))
        np.testing.assert_array_equal(mine[:both], theirs[:both])


def test_sites_that_are_alike_take_turns():
    """Evenly, four sites at a quarter of the rate are one at the whole of it."""
    four = tuple(site(f"a {i}", rate=DAILY / 4, share=(i + 0.5) / 4) for i in range(4))
    whole = at(Accrual((Stretch(0.0, DAILY, DAILY),)), trials=[0], subjects=40)
    found = at(Accrual(sites=four), trials=[0], subjects=40)
    np.testing.assert_allclose(found.time, whole.time)
    np.testing.assert_array_equal(found.site[0], np.arange(40) % 4)


def test_by_chance_sites_enrol_at_their_rates():
    """By day 20 a site at 1 a day has 20 on average, one at 3 from day 10 on 30."""
    open_ = Accrual(by="poisson", sites=(site("a"), SITES[1]))
    found = at(open_, trials=range(400), subjects=120)
    by = found.time <= 480.0
    for place, mean in ((0, 20.0), (1, 30.0)):
        number = ((found.site == place) & by).sum(axis=1)
        assert number.mean() == pytest.approx(mean, abs=3 * np.sqrt(mean / 400))
        assert number.var() == pytest.approx(mean, rel=3 * np.sqrt(2 / 400))
