"""The comparison with other software compares like with like, and writes it down."""

import json
import math
from dataclasses import replace
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import fitting, limit, peers
from benchmarks.measure import Request, measure
from benchmarks.problem import Tolerance, problem_of
from benchmarks.solvers import solve_with_vtrial
from benchmarks.translate import load_source, parameters_of, python_source, sbml_source
from benchmarks.workloads import (
    EXCERPT,
    WORKLOADS,
    crowd,
    model_of,
    read_reference,
    schedule_of,
    worst_errors,
)
from vtrial.types import Numerics


def _briefly(request):
    """Measure in this process, for a moment."""
    return measure(replace(request, seconds=0.01))


@pytest.fixture(scope="module")
def compared():
    return peers.compare(
        ["W1"], ["vtrial", "scipy"], subjects=4, way=peers.Way(_briefly, quick=True)
    )


def test_everybody_is_accurate(compared):
    row = compared["rows"]["W1"]
    assert set(row) == {"vtrial", "vtrial, 32 bits", "scipy"}
    assert row["vtrial"]["errors"]["CP"] < 1e-12
    assert row["vtrial, 32 bits"]["errors"]["CP"] < 1e-4
    assert row["scipy"]["errors"]["CP"] < 1e-5
    for answer in row.values():
        assert answer["subjects"] == 4
        assert answer["failed"] == 0
        assert answer["rate"] > 0


def test_json_says_where_and_with_what(compared):
    found = json.loads(json.dumps(compared))
    assert found == compared
    machine = found["machine"]
    assert {"date", "processor", "cores", "python", "compiler"} <= set(machine)
    assert {"vtrial", "scipy", "jaxlib"} <= set(machine["versions"])
    assert machine["subjects checked"] >= 3


def test_the_table_gives_ratios(compared):
    lines = peers.table(compared["rows"]).splitlines()
    rates = {name: a["rate"] for name, a in compared["rows"]["W1"].items()}
    line = next(line for line in lines if line.startswith("scipy"))
    ratio = float(line.split()[1].replace(",", ""))
    assert ratio == pytest.approx(rates["vtrial"] / rates["scipy"], rel=0.01)


def test_what_is_absent_is_derived_or_left_out(monkeypatch, capsys):
    rows = {"W3": {"numbalsoda": {"rate": 100.0}}, "W2": {}}
    peers.derive(rows)
    assert rows["W2"] == {}
    assert rows["W3"]["mrgsolve (derived)"]["rate"] == pytest.approx(100 * 2336 / 2079)
    monkeypatch.setattr(peers, "version_of", lambda solver: "")
    found = peers.compare(["W1"], ["numbalsoda"], way=peers.Way(pytest.fail))
    assert found["rows"] == {"W1": {}}
    assert "numbalsoda is not installed" in capsys.readouterr().err


def test_the_loosest_tolerance_that_keeps_the_bound():
    def measured(request):
        return {"errors": {"CP": 2.0 * request.rtol}}

    way = peers.Way(measured)
    asked = Request("vtrial", "W2", 10)
    assert peers._loosest(asked, way) == 3e-6


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_equations_are_the_same_in_every_language(name):
    model, group = model_of(name), crowd(name, 3)
    task = problem_of(name, group)
    written = load_source(python_source(model, "numpy"), "written")
    inputs = {key: value[:, None] for key, value in group.values.items()}
    individual = model.individual(inputs)
    states = [0.5 + np.arange(3.0)[:, None] + i for i in range(len(model.states))]
    ours = model.derivative(np.full((3, 1), 2.0), states, individual)
    theirs = written.derivative(2.0, states, list(task.parameters.T[:, :, None]), 0.0)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    begun = np.broadcast_arrays(*model.initial(individual), np.zeros((3, 1)))[:-1]
    np.testing.assert_allclose(np.stack(begun, 1)[:, :, 0], task.start, rtol=1e-15)
    tree = ElementTree.fromstring(sbml_source(model))
    names = [e.get("id") for e in tree.iter() if e.tag.endswith("parameter")]
    assert names[: len(parameters_of(model))] == parameters_of(model)
    assert sum(e.tag.endswith("rateRule") for e in tree.iter()) == len(model.states)


def test_those_with_accurate_solutions_come_first():
    known, group = read_reference("W3"), crowd("W3", 100)
    size = len(known.values["CL"])
    np.testing.assert_array_equal(group.values["CL"][:size], known.values["CL"])
    spread = np.log(group.values["CL"][size:]).std()
    # sd of the logarithm 0.294; five standard errors of 80 or more draws
    assert spread == pytest.approx(math.sqrt(math.log(1.09)), rel=5 / math.sqrt(2 * 80))
    assert len(read_reference("W3", EXCERPT).times) < len(WORKLOADS["W3"].observations)


def test_subjects_with_times_of_their_own():
    group = crowd("W1-own", 5)
    assert group.doses.shape == (5, 10)
    assert np.unique(group.doses).size == 50
    doses, times = schedule_of("W1-own", group)
    assert doses.time.shape == (5, 10)
    assert times.time.shape == (5, 241)
    outputs = solve_with_vtrial("W1-own", group, Tolerance())()
    assert worst_errors("W1-own", group, outputs)["CP"] < 1e-12


def test_operations_of_a_program_are_counted():
    def program(square, length):
        def far(carry):
            return carry[0] * 2.0 + 1.0, carry[1] + 1.0

        grown = jax.lax.while_loop(lambda c: c[1] < length, far, (square, 0.0))[0]
        double = jax.lax.scan(lambda c, _: (c * 2.0, None), grown, None, length=7)[0]
        return double @ double

    traced = jax.make_jaxpr(program)(jnp.ones((4, 4)), 3.0)
    # by hand: 7 scans of 16, a product of 4 x 4 matrices, and in each step 33
    assert limit.operations(traced.jaxpr, 10) == 7 * 16 + 2 * 4**3 + 10 * 33


def test_a_method_is_set_beside_the_core():
    group = crowd("W1", 8)
    solve, given = limit._solution(model_of("W1"), "W1", group, Numerics())
    counted = limit.operations(jax.make_jaxpr(solve)(*given).jaxpr, 0.0) / 8
    # an interval of this body takes at least two exponentials and four products
    assert counted > 6 * 240
    found = limit.Found(
        name="W1",
        method="closed form",
        subjects=8,
        steps=240.0,
        steps_last=10.0,
        operations=2400.0,
        counted=3000.0,
        bytes=4000.0,
        total=8e-5,
        program=4e-5,
        last=2e-5,
        table=1e-5,
    )
    head, _, _, rate, _, _, share = limit.table([found], limit.Peak(1e9, 2e9)).split(
        "\n"
    )
    assert head == "this core at best: 1.0 GFLOP/s, 2.0 GB/s"
    # 2,400 operations in 5 us for each subject, of 1 GFLOP/s
    assert rate.split()[3:9] == ["100,000", "240", "20.8", "10", "0.48", "48.0%"]
    assert share.split()[3:] == ["50%", "12%", "12%", "25%", "10"]


def test_ratios_of_fits_are_of_one_and_the_same_thing():
    row = {"effective": 50.0, "mean": [1.0, 2.0], "error": [0.03, 0.04]}
    ours = row | {run: {"wall": 2.0, "cpu": 3.0} for run in fitting.RUNS}
    theirs = row | {run: {"wall": 8.0, "cpu": 6.0} for run in fitting.RUNS}
    theirs |= {"effective": 25.0, "mean": [1.0, 2.1], "error": [0.04, 0.03]}
    found = fitting.derive(dict(zip(fitting.FITTERS, (ours, theirs), strict=True)))
    assert found["compiled, wall"] == 4.0
    assert found["with compilation, cpu"] == 2.0
    assert found["cpu of an effective draw"] == 4.0
    assert found["means apart"] == pytest.approx(2.0)


@pytest.mark.slow
def test_both_fits_are_of_one_density(tmp_path):
    """NumPyro's of scores is vtrial's of effects, stretched, with all constants."""
    from numpyro.infer.util import log_density
    from scipy.stats import norm

    import vtrial as vt
    from vtrial.fit.hierarchy import foreign
    from vtrial.fit.likelihood import LOG_2_PI
    from vtrial.fit.prior import prior_of
    from vtrial.fit.problem import problem_of

    model = vt.load_model(fitting.MODEL)
    read = vt.fit.read_study(model, fitting.table_of(tmp_path))
    problem = problem_of(model, read)
    program, begin = fitting.plain_program()
    z = np.random.default_rng(1).normal(size=begin["z"].shape)
    at = {"typical": 0.1, "spread": -0.2, "size": 0.05}
    own = {name: begin[name] + shift for name, shift in at.items()} | {"z": z}
    with foreign():
        theirs = float(log_density(program, (), {}, own)[0])
    vector = np.hstack([own["typical"], own["spread"], own["size"]])
    values = problem.layout.values(vector, problem.base)
    eta = jnp.asarray(z * np.exp(own["spread"]))
    joint = np.asarray(problem.likelihood.joint(values, eta, read.data)).sum()
    stretch = len(z) * own["spread"].sum()
    ours = -0.5 * (joint + LOG_2_PI * (read.observations + z.size)) + stretch
    prior = prior_of(model, problem.layout, problem.base)
    ours += norm.logpdf(own["typical"], prior.typical, np.diag(prior.root)).sum()
    ours += norm.logpdf(own["spread"], prior.spread, prior.spread_error).sum()
    ours += norm.logpdf(own["size"], prior.size, prior.size_error).sum()
    assert theirs == pytest.approx(ours, abs=1e-3), "diffrax keeps to 1e-6"
