"""What every kind of endpoint promises, whoever adds one."""

import string

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.kind_tables import PAGE, page_with, take_table
from vtrial.endpoint import kinds as folder
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.kind import SAME, TIMES_HOURS
from vtrial.endpoint.outcome import outcomes
from vtrial.endpoint.registry import MADE_OF_OTHERS, kind_of, kinds
from vtrial.types import Missing
from vtrial.units import is_unit

NAN, INF = np.nan, np.inf
TIME = [0.0, 1.0, 2.0, 4.0, 8.0, 12.0]
VALUE = [2.0, 6.0, 4.0, 2.0, 1.0, 0.5]
BLANKS = {"of", "span", "low", "high", "reach", "equation", "events", "share"}
EACH = pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.word)


def asked(kind, **more):
    """Return an endpoint of a kind, with the limits that it must have."""
    limits = {"low": 1.5, "high": 5.0}
    needed = {k: v for k, v in limits.items() if getattr(kind, k) in ("must", "either")}
    if needed and kind.low == "either":
        needed.pop("high")
    if kind.share == "must":
        needed["share"] = 0.9
    return Endpoint("x", "y", kind.word, 0.0, 24.0, **{**needed, **more})


def of(kind, value, time=TIME, precision=float, **more):
    """Return outcomes of subjects with the same keys in each call."""
    value = jnp.asarray(value, precision)
    keys = jax.random.split(jax.random.key(7), len(value))
    return outcomes(
        asked(kind, **more), jnp.asarray([time], precision), value, keys=keys
    )


def test_each_file_says_something_else():
    files = [name for name in dir(folder) if hasattr(getattr(folder, name), "KINDS")]
    said = [kind for name in files for kind in getattr(folder, name).KINDS]
    assert len({kind.word for kind in said}) == len(said) == len(kinds())
    assert len({kind.place for kind in said}) == len(said), "places decide the order"
    assert [kind.place for kind in kinds().values()] == sorted(k.place for k in said)


@pytest.mark.parametrize("kind", [*kinds().values(), *MADE_OF_OTHERS])
def test_facts_fit_together(kind):
    assert kind_of(kind.word) is kind
    assert kind.unit in (SAME, TIMES_HOURS) or is_unit(kind.unit)
    assert not kind.event or kind.unit == "h"
    asked_for = {name for _, name, _, _ in string.Formatter().parse(kind.sentence)}
    assert asked_for - {None} <= BLANKS
    assert (kind.low == "either") == (kind.high == "either")
    assert hash(kind) == hash(kind_of(kind.word))


def test_the_docs_have_every_kind():
    """`python -m tests.kind_tables` writes the table anew."""
    assert page_with(take_table()) == PAGE.read_text()


@EACH
def test_nothing_seen_is_no_number_and_the_neighbour_is_unharmed(kind):
    alone = of(kind, [VALUE, VALUE, VALUE])
    found = of(kind, [VALUE, [NAN] * 6, VALUE])
    assert np.isnan(found.outcome[1])
    assert np.isnan(found.event[1])
    assert found.reason[1] > 0
    np.testing.assert_array_equal(found.outcome[::2], alone.outcome[::2])
    assert np.isfinite(alone.outcome).all()


@EACH
def test_missing_values_and_padding_are_skipped(kind):
    plain = of(kind, [VALUE])
    time = [0.0, 0.5, *TIME[1:], 13.0, INF, INF]
    found = of(kind, [[2.0, NAN, *VALUE[1:], NAN, NAN, 5.0]], time)
    for left, right in zip(plain, found, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)


@EACH
def test_too_few_values_make_no_number(kind):
    if kind.needs > 1:
        found = of(kind, [[NAN, 3.0, *[NAN] * 4]])
        assert np.isnan(found.outcome[0])


@EACH
def test_own_times_under_jit_equal_shared_times(kind):
    value = np.random.default_rng(5).lognormal(1, 0.5, (7, 6))
    shared = of(kind, value)
    keys = jax.random.split(jax.random.key(7), 7)
    own = jax.jit(outcomes, static_argnums=0)(
        asked(kind),
        jnp.broadcast_to(jnp.asarray(TIME), value.shape),
        jnp.asarray(value),
        keys=keys,
    )
    for left, right in zip(shared, own, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)


@EACH
def test_single_precision_stays_single(kind):
    found = of(kind, [VALUE], precision=jnp.float32)
    assert {field.dtype for field in found[:3]} == {jnp.dtype("float32")}
    assert found.reason.dtype == jnp.dtype("int8")


@EACH
def test_numbers_are_within_their_support(kind):
    value = np.random.default_rng(6).lognormal(1, 0.8, (40, 6))
    value = np.cumsum(value, axis=1) if kind.drawn else value  # a hazard that adds up
    number = np.asarray(of(kind, value).outcome)
    number = number[np.isfinite(number)]
    assert number.size
    low, high = kind.support
    assert ((number >= low) & (number <= high)).all()
    assert not kind.categories or set(number) <= set(range(len(kind.categories)))


@EACH
def test_who_lacks_a_baseline_is_told_so(kind):
    if kind.baseline:
        found = of(kind, [[NAN, *VALUE[1:]]], baseline=0.5)
        assert np.isnan(found.outcome[0])
        assert found.reason[0] == Missing.NO_BASELINE


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_percentiles_are_those_of_numpy(share):
    value = np.random.default_rng(4).lognormal(1, 0.4, (20, 6))
    value[3, 2:] = NAN
    found = of(kinds()["percentile"], value, share=share).outcome
    np.testing.assert_allclose(found, np.nanquantile(value, share, axis=1), rtol=1e-12)


def test_the_coefficient_of_variation_is_that_of_scipy():
    kind = kinds()["coefficient of variation"]
    value = np.random.default_rng(3).lognormal(1, 0.4, (20, 6))
    wanted = 100 * stats.variation(value, axis=1, ddof=1)
    np.testing.assert_allclose(of(kind, value).outcome, wanted, rtol=1e-12)
    # By hand: the mean of 2, 4 and 6 is 4, and so is half the sum of squares.
    assert of(kind, [[2.0, NAN, 4.0, NAN, 6.0, NAN]]).outcome[0] == 50.0
    assert of(kind, [[3.0] * 6]).outcome[0] == 0.0
    assert np.isnan(of(kind, [[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]]).outcome[0])


def test_the_coefficient_of_variation_of_level_values_has_a_gradient():
    kind = kinds()["coefficient of variation"]
    slope = jax.grad(lambda value: of(kind, value).outcome[0])(jnp.full((1, 6), 3.0))
    assert np.isfinite(slope).all()
