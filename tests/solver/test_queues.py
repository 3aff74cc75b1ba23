"""Queues against their formulas, and what holds of every one of them.

Statistical tests have fixed seeds. A bound of three standard errors is missed by chance
by one in 370; of days whose means are not quite normal, a little more often.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

import vtrial as vt
from tests.solver.queue_models import (
    OUTPUTS,
    erlang,
    erlang_a,
    flow_of,
    keys_of,
    outputs_of,
    over_days,
    over_people,
    station,
)
from vtrial.dosing.doses import Times, no_doses
from vtrial.errors import SolverError
from vtrial.solver import by_flow
from vtrial.solver.by_flow import days, simulate_flow
from vtrial.solver.host import simulate
from vtrial.solver.queue.pool import begun_in_order
from vtrial.solver.queue.ranked import begun_by_rank
from vtrial.solver.queue.servers import Rota
from vtrial.types import Status

SE = 3.0
# Rows: arrivals an hour, minutes of service, servers;
# Erlang's B and C, mean wait [min],
# chance of more than 15 min; Erlang AK (1917) by B_k = a B/(k + a B).
TABLE = [
    (5, 30, 3, 0.28216704, 0.70224719, 42.134831, 0.546911),
    (10, 40, 8, 0.15965109, 0.53268658, 15.980597, 0.323091),
    (30, 45, 25, 0.09356268, 0.50792303, 9.142615, 0.220742),
]
CLASSES = {"a": 0.1, "b": 0.2, "c": 0.4, "d": 0.3}
# Cobham A. (1954) Oper. Res. 2:70-76, for servers of the same rate.
RANKED = {"a": 2.905563, "b": 3.874084, "c": 8.522985, "d": 38.353434}
PROFILE = [2.3667, 2.8, 8.8333, 10.4333, 14.8, 26.2667, 31.4, 18.0667, 16.4667]
PROFILE += [12.0333, 11.6, 28.8667, 18.0333, 11.5, 5.3, 4.0667, 2.2, 2.1]
# Mean number at the ends of hours with unlimited servers of 1 h (Eick, Massey and Whitt
# 1993, Oper. Res. 41:731-742): m' = rate - m.
PRESENT = [1.4960, 2.3203, 6.4373, 8.9633, 12.6528, 21.2584, 27.6691, 21.5992, 18.3548]
PRESENT += [14.3589, 12.6149, 22.8880, 19.8193, 14.5605, 8.7067, 5.7737, 3.5147, 2.6204]


@pytest.fixture(scope="module")
def department():
    """Seven days of the shipped department, and its flow."""
    model = vt.load_model("emergency-department")
    return model.flow, days(model, model.typical(), keys=keys_of(7))


@pytest.mark.parametrize("row", TABLE)
def test_erlangs_formulas_give_the_table(row):
    rate, minutes, servers, *wanted, long = row
    blocked, waits, wait = erlang(rate, minutes / 60, servers)
    assert [blocked, waits] == pytest.approx(wanted[:2], abs=5e-9)
    assert 60 * wait == pytest.approx(wanted[2], abs=5e-7)
    ahead = waits * np.exp(-(servers * 60 / minutes - rate) / 4)
    assert ahead == pytest.approx(long, abs=5e-7)


def check_waits(row, *, count, hours=500):
    rate, minutes, servers, _, waits, wait, long = row
    desk = station(servers, f"exponential({minutes} min)")
    found = outputs_of(flow_of(rate, desk, hours=hours), count)
    for name, exact in (("wait", wait), ("waited", waits), ("long", long)):
        assert over_people(found[name], found["came"]).off(exact) < SE, name


def check_loss(row, *, count, hours=500):
    rate, minutes, servers, blocked, *_ = row
    desk = station(
        servers, f"exponential({minutes} min)", patience="deterministic(0 h)"
    )
    found = outputs_of(flow_of(rate, desk, hours=hours), count)
    assert over_people(found["left"], found["came"]).off(blocked) < SE


def test_who_comes_first_waits_as_erlang_says():
    check_waits(TABLE[1], count=64, hours=200)


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE)
def test_erlang_c_and_b_at_length(row):
    check_waits(row, count=400)
    check_loss(row, count=100)


@pytest.mark.slow
def test_who_gives_up_leaves_as_erlang_a_says():
    waits, left, wait = erlang_a(20, 1, 18, 2)
    wanted = [0.79964530, 0.13119795, 15.743754]
    assert [waits, left, 60 * wait] == pytest.approx(wanted, rel=1e-7)
    desk = station(18, "exponential(60 min)", patience="exponential(120 min)")
    found = outputs_of(flow_of(20, desk), 128)
    for name, exact in zip(("waited", "left", "queueing"), wanted, strict=True):
        assert over_people(found[name], found["came"]).off(exact) < SE, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "exact"),
    [
        ("deterministic(50 min)", 125.0),
        ("lognormal(50 min, 0.5)", 156.25),
        ("lognormal(50 min, 1)", 250.0),
        ("exponential(50 min)", 250.0),
    ],
)
def test_one_server_waits_as_pollaczek_and_khinchine_say(law, exact):
    found = outputs_of(flow_of(1, station(1, law), hours=1000, counted=100), 512)
    assert over_people(found["wait"], found["came"]).off(exact) < SE


@pytest.mark.slow
def test_several_servers_of_any_law_wait_nearly_as_allen_and_cunneen_say():
    """C/(c mu - lambda) (1 + cv^2)/2, an approximation: within 10 %."""
    found = outputs_of(flow_of(10, station(8, "lognormal(40 min, 0.5)")), 256)
    wait = over_people(found["wait"], found["came"])
    nearly = 60 * erlang(10, 2 / 3, 8)[2] * 1.25 / 2
    assert nearly == pytest.approx(9.99, abs=0.005)
    assert abs(wait.value - nearly) < 0.1 * nearly


def check_ranked(count, hours):
    own = {
        **{
            k: {"of": "wait", "take": "mean", "class": k, "unit": "min"}
            for k in CLASSES
        },
        **{
            f"came_{k}": {"of": "arrivals", "take": "count", "class": k}
            for k in CLASSES
        },
    }
    desk = station(8, "exponential(40 min)", order="priority")
    more = {"classes": CLASSES, "outputs": {**OUTPUTS, **own}, "hours": hours}
    found = outputs_of(flow_of(10, desk, **more), count)
    for name, exact in RANKED.items():
        assert over_people(found[name], found[f"came_{name}"]).off(exact) < SE, name
    return found


def test_the_urgent_wait_less():
    check_ranked(64, 200)


@pytest.mark.slow
def test_priority_moves_waits_and_keeps_their_mean():
    """Conservation: no order that looks at no lengths changes the mean of all."""
    found = check_ranked(600, 500)
    desk = station(8, "exponential(40 min)")
    first = outputs_of(flow_of(10, desk, classes=CLASSES), 600)
    wait = over_people(found["wait"], found["came"]).value
    assert wait == pytest.approx(
        over_people(first["wait"], first["came"]).value, rel=0.01
    )
    assert sum(CLASSES[k] * RANKED[k] for k in CLASSES) == pytest.approx(15.980597)


def test_both_kernels_agree_on_the_same_people():
    """With a rota, on 300 people: as one queue, and as one ranked by nothing."""
    random = np.random.default_rng(4)
    joined = jnp.asarray(np.sort(random.uniform(0, 24, 300)))
    service = jnp.asarray(random.exponential(0.5, 300))
    rota = Rota(jnp.arange(0.0, 24.0, 4.0), jnp.asarray([4, 9, 2, 0, 12, 5]))
    pool = begun_in_order(rota, joined, service, 12)
    none = jnp.zeros(300, int)
    for most in (12, 16):  # room that nobody takes changes nothing
        ranked = begun_by_rank(
            *(rota, joined, service, most),
            rank=none,
            ranks=1,
            patience=jnp.full(300, jnp.inf),
        )
        np.testing.assert_allclose(ranked, pool, rtol=0, atol=1e-9)
    begins, ends = np.asarray(pool), np.asarray(pool + service)
    busy = [(begins <= b).sum() - (ends <= b).sum() for b in begins]
    there = np.asarray(rota.number)[np.minimum(begins // 4, 5).astype(int)]
    assert (busy <= there).all()


@pytest.mark.slow
def test_littles_law_holds_on_every_day(department):
    """Hours in the queue, added up over people and over time."""
    _, found = department
    (visit,) = found.visits
    for joined, parted in zip(visit.joined, visit.parted, strict=True):
        here = np.isfinite(joined)
        begin, end = np.asarray(joined)[here], np.asarray(parted)[here]
        time = np.concatenate([begin, end])
        order = np.argsort(time, kind="stable")
        change = np.concatenate([np.ones(begin.size), -np.ones(end.size)])[order]
        over_time = np.sum(np.cumsum(change)[:-1] * np.diff(time[order]))
        assert over_time == pytest.approx(np.sum(end - begin), rel=1e-9)


@pytest.mark.slow
def test_people_come_by_a_poisson_process(department):
    """The cumulative rate between arrivals is Exp(1); falsely alarmed once in 1,000."""
    _, found = department
    edges = np.concatenate([[0.0], np.cumsum(PROFILE)])
    arrives = np.where(np.isfinite(found.people.arrives), found.people.arrives, np.nan)
    gone = np.interp(arrives, np.arange(19), edges)
    gaps = np.diff(gone, axis=1, prepend=0.0)
    assert kstest(gaps[np.isfinite(gaps)], "expon").pvalue > 1e-3


def check_present(count):
    outputs = {
        f"at_{h}": {"of": "present", "take": f"after {h} h"} for h in range(1, 19)
    }
    desk = station("unlimited", "exponential(1 h)")
    arrivals = {"rate": PROFILE}
    sheet = {
        **{"model": "m", "kind": "flow", "arrivals": arrivals},
        **{"stations": {"desk": desk}, "outputs": outputs},
    }
    found = outputs_of(vt.load_model(sheet), count, seed=2)
    for hour, exact in enumerate(PRESENT, start=1):
        assert over_days(found[f"at_{hour}"]).off(exact) < SE + 0.5, hour  # 18 of them


@pytest.mark.slow
def test_unlimited_servers_follow_the_rate():
    check_present(300)


@pytest.mark.slow
def test_unlimited_servers_follow_the_rate_at_length():
    check_present(20_000)


@pytest.mark.slow
def test_arms_see_the_same_people(department):
    flow, found = department
    model = dataclasses.replace(vt.load_model("emergency-department"), flow=flow)
    inputs = {**model.typical(), "physician.servers.5": 20.0, "PATIENCE": 1e6}
    other = days(model, inputs, keys=keys_of(7))
    np.testing.assert_array_equal(found.people.arrives, other.people.arrives)
    np.testing.assert_array_equal(found.people.group, other.people.group)
    one, two = (
        np.where(v.seen, v.ended - v.parted, np.nan)
        for v in (found.visits[0], other.visits[0])
    )
    both = np.isfinite(one) & np.isfinite(two)
    np.testing.assert_allclose(one[both], two[both], rtol=0, atol=1e-12)
    assert (np.asarray(other.visits[0].seen) == np.asarray(other.people.comes)).all()


@pytest.mark.slow
def test_room_and_company_change_nothing(monkeypatch):
    """One day among others, with more room, is bitwise the same."""
    model = flow_of(10, station(8, "lognormal(40 min, 0.5)"), hours=24, counted=0)
    inputs, times = model.typical(), Times(jnp.zeros((1, 1)), jnp.zeros((1, 1), int))
    few = simulate_flow(model, inputs, no_doses(), times, keys=keys_of(3))
    monkeypatch.setattr(by_flow, "ROOM", 512)
    many = simulate_flow(model, inputs, no_doses(), times, keys=keys_of(5))
    for name, value in few.outputs.items():
        np.testing.assert_array_equal(value[:, 0], many.outputs[name][:3, 0], name)


def test_more_people_than_there_is_room_for_are_a_failed_day(monkeypatch):
    monkeypatch.setattr(by_flow, "RARELY", 0.5)
    monkeypatch.setattr(by_flow, "ROOM", 8)
    model = flow_of(32, station(40, "exponential(1 min)"), hours=2, counted=0)
    inputs, times = model.typical(), Times(jnp.zeros((1, 1)), jnp.zeros((1, 1), int))
    path = simulate_flow(model, inputs, no_doses(), times, keys=keys_of(16))
    full = np.asarray(path.status) == Status.OVERCROWDED
    assert full.any()
    assert not full.all()
    np.testing.assert_array_equal(np.isnan(path.outputs["wait"][:, 0]), full)


def test_what_cannot_be_is_refused_or_a_failed_day():
    model = flow_of(1, station(1, "exponential(1 min)"), hours=2, counted=0)
    times = Times(jnp.zeros((1, 1)), jnp.zeros((1, 1), int))
    inputs = {**model.typical(), "arrivals.scale": np.array([1.0, np.nan, -1.0])}
    path = simulate(model, inputs, no_doses(), times, seed=0)
    wanted = [Status.SOLVED, Status.MISSING_INPUT, Status.NEGATIVE]
    np.testing.assert_array_equal(path.status, wanted)
    with pytest.raises(SolverError, match="200,000"):
        simulate(model, {**inputs, "arrivals.scale": 1e9}, no_doses(), times, seed=0)
    with pytest.raises(SolverError, match="seed"):
        simulate(model, inputs, no_doses(), times)
