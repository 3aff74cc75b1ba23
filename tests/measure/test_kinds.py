"""What every measure promises, whoever adds one."""

import inspect

import numpy as np
import pytest
from scipy import stats

from tests.kind_tables import PAGE, by_table, page_with
from vtrial.measure.groups import Dosed, Groups, Tier, Visits
from vtrial.measure.registry import measures
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.comparisons import OPTIONS

EACH = pytest.mark.parametrize("measure", measures().values(), ids=lambda m: m.word)
REPLICATES, SUBJECTS = 6, 60
SITE = np.arange(SUBJECTS) % 2 + 2 * (np.arange(SUBJECTS) // 10)  # each of one arm


def groups_for(measure, *, seed=4, effect=0.0):
    """Draw groups of whatever a measure is of, one subject without a value."""
    rng = np.random.default_rng(seed)
    shape = (REPLICATES, SUBJECTS)
    treated = np.broadcast_to(np.arange(SUBJECTS) % 2 == 0, shape)
    normal = rng.normal(2.0, 0.5, shape) + effect * treated
    value = {
        "numbers": np.exp(normal),
        "visits": normal,
        "doses": normal,
        "counts": rng.poisson(np.exp(normal / 4)).astype(float),
        **dict.fromkeys(("responses", "dosed responses"), (normal > 2.0).astype(float)),
        "times": np.exp(normal),
        "tiers": normal,
    }[measure.of]
    value[:, 3] = np.nan
    event = np.where(np.isfinite(value), rng.uniform(size=shape) < 0.8, np.nan)
    visits = np.stack([value, value + rng.normal(0, 0.2, shape)], axis=2)
    return Groups(
        value,
        treated,
        event=event.astype(float) if measure.of == "times" else None,
        span=24.0,
        visits=Visits(visits, None, treated.astype(int), (1, 0)),
        tiers=[Tier(value)] if measure.of == "tiers" else [],
        dosed=Dosed(value, treated.astype(int), 2, (1, 0)),
        site=np.broadcast_to(SITE, shape),
    )


def made(measure, groups, level=0.95):
    """Compare groups as a comparison with nothing but what must be given."""
    asked = Comparison(
        *("c", "high", "low", "x", measure.word),
        until=9.0,
        doses=(("low", 0.0), ("high", 1.0)),
        shapes=(("linear", ()), ("emax", (0.5,))),
    )
    options = {k: getattr(asked, k) for k in measure.told}
    return measure.kernel(groups, level=level, **options)


@EACH
def test_facts_fit_together(measure):
    assert measures()[measure.word] is measure
    assert set(measure.options) <= {"adjust", *OPTIONS}
    assert {key for key, _, _ in measure.needs} <= set(measure.options)
    assert not (measure.ratio and measure.shares)
    asked = set(inspect.signature(measure.kernel).parameters) - {"groups", "level"}
    assert asked == set(measure.told)


def test_places_decide_the_order():
    places = [measure.place for measure in measures().values()]
    assert places == sorted(set(places))


def test_the_docs_have_every_measure():
    """`python -m tests.kind_tables` writes the table anew."""
    assert page_with(by_table()) == PAGE.read_text()


@EACH
def test_a_contrast_lies_in_its_interval(measure):
    contrast = made(measure, groups_for(measure))
    assert all(np.isfinite(part).all() for part in contrast)
    assert (contrast.low <= contrast.estimate).all()
    assert (contrast.estimate <= contrast.high).all()
    assert ((contrast.p >= 0) & (contrast.p <= 1)).all()
    assert (contrast.error > 0).all()
    if measure.ratio:
        assert (contrast.low >= 0).all()
    if measure.shares:
        assert (np.abs(contrast.estimate) <= 1).all()


@EACH
def test_a_higher_level_has_a_wider_interval(measure):
    groups = groups_for(measure)
    narrow, wide = made(measure, groups, 0.8), made(measure, groups, 0.99)
    assert (wide.low <= narrow.low).all()
    assert (narrow.high <= wide.high).all()
    np.testing.assert_allclose(wide.estimate, narrow.estimate, rtol=1e-12)


@EACH
def test_subjects_without_a_value_count_for_nobody(measure):
    groups = groups_for(measure)

    def without(part):
        return None if part is None else np.delete(part, 3, axis=1)

    visits = groups.visits
    fewer = groups._replace(
        value=without(groups.value),
        treated=without(groups.treated),
        event=without(groups.event),
        visits=visits._replace(value=without(visits.value), arm=without(visits.arm)),
        tiers=[Tier(without(tier.value)) for tier in groups.tiers],
        dosed=Dosed(*(without(part) for part in groups.dosed[:2]), 2, (1, 0)),
        site=without(groups.site),
    )
    for left, right in zip(made(measure, groups), made(measure, fewer), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-9)


@EACH
def test_pairs_are_what_they_are_of(measure):
    if measure.pairs is None:
        return
    groups = groups_for(measure)
    effect, error, apart = measure.pairs(groups.value, groups.value)
    np.testing.assert_allclose(effect, 1.0 if measure.ratio else 0.0, atol=1e-12)
    np.testing.assert_allclose(error, 0.0, atol=1e-12)
    assert (apart > 0).all()


def test_the_welch_difference_is_that_of_scipy():
    measure = measures()["Welch difference of means"]
    groups = groups_for(measure, effect=0.4)
    contrast = made(measure, groups, 0.9)
    for i in range(REPLICATES):
        value, treated = groups.value[i], groups.treated[i]
        known = np.isfinite(value)
        sides = (value[known & side] for side in (treated, ~treated))
        test = stats.ttest_ind(*sides, equal_var=False)
        limits = test.confidence_interval(0.9)
        found = [contrast.p[i], contrast.low[i], contrast.high[i]]
        wanted = [test.pvalue, limits.low, limits.high]
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
