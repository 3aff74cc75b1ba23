"""The scan as one kernel: interpreted it is XLA's scan, and it can be lowered."""

import jax
import numpy as np
import pytest
from jax import export

from vtrial.dosing.doses import times
from vtrial.solver import host, program
from vtrial.solver.host import simulate
from vtrial.solver.xla import kernel
from vtrial.types import Numerics, Status

METHODS = ("explicit", "stiff", "hybrid explicit", "hybrid stiff")
GRID = np.array([0.0, 1.0, 5.0, 12.0, 13.0, 20.0, 30.0])
TRITON = "__gpu$xla.gpu.triton"


@pytest.fixture
def in_kernel(monkeypatch):
    """Let every layout that may go through the kernel, and count them."""
    gone = []

    def possible(layout):
        gone.append(kernel.is_possible(layout))
        return gone[-1]

    monkeypatch.setattr(host, "is_wanted", lambda: True)
    monkeypatch.setattr(program, "is_possible", possible)
    return gone


def solved(made, name, numerics, **doses):
    model = made.models[name]
    given = made.doses([0.0, 12.0, 24.0], [100.0, 50.0, 70.0], **doses)
    inputs = made.spread(model, 150)  # more than one program has lanes
    return simulate(model, inputs, given, times(GRID), numerics=numerics)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["saturable", "friberg"])
def test_the_interpreted_kernel_takes_the_steps_of_the_scan(
    made, in_kernel, monkeypatch, name, method
):
    numerics = Numerics(method=method)
    doses = {"rate": [0.0, 25.0, 0.0]}
    found = solved(made, name, numerics, **doses)
    assert in_kernel == [True]
    monkeypatch.setattr(host, "is_wanted", lambda: False)
    monkeypatch.setattr(program, "width_of", lambda *asked: 0)
    wanted = solved(made, name, numerics, **doses)
    np.testing.assert_array_equal(found.steps, wanted.steps)
    np.testing.assert_array_equal(found.status, wanted.status)
    for output, values in wanted.outputs.items():
        np.testing.assert_allclose(found.outputs[output], values, rtol=1e-12)
    for one, other in zip(found.end, wanted.end, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.slow
def test_a_failed_lane_fails_alone_in_the_kernel(made, in_kernel):
    model = made.models["saturable"]
    inputs = {k: np.full(40, v) for k, v in model.typical().items()}
    inputs["KA"][7] = np.nan
    found = simulate(
        model,
        inputs,
        made.doses([0.0], [100.0]),
        times(GRID),
        numerics=Numerics(method="explicit"),
    )
    assert in_kernel == [True]
    good = np.arange(40) != 7
    assert (np.asarray(found.status)[good] == Status.SOLVED).all()
    assert found.status[7] != Status.SOLVED
    assert np.isfinite(np.asarray(found.outputs["conc"])[good]).all()


@pytest.mark.slow
def test_the_kernel_has_the_derivatives_of_the_scan(made, in_kernel):
    model = made.models["saturable"]
    doses = made.doses([0.0], [100.0])

    def level(most):
        inputs = model.typical() | {"VMAX": most}
        numerics = Numerics(method="explicit")
        found = simulate(model, inputs, doses, times([8.0]), numerics=numerics)
        return found.outputs["conc"][0, 0]

    slope = jax.grad(level)(10.0)
    step = 1e-3
    wanted = (level(10.0 + step) - level(10.0 - step)) / (2 * step)
    assert all(in_kernel)
    assert slope == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", [64, 32])
def test_the_kernel_is_lowered_for_graphics_processors(
    made, in_kernel, monkeypatch, method, precision
):
    monkeypatch.setattr(kernel, "is_interpreted", lambda: False)
    model = made.models["friberg"]
    numerics = Numerics(method=method, precision=precision)
    doses = made.doses([0.0, 12.0], [100.0, 50.0], rate=[0.0, 25.0])

    def run(inputs):
        found = simulate(model, inputs, doses, times(GRID), numerics=numerics)
        return found.outputs

    allowed = [export.DisabledSafetyCheck.custom_call(TRITON)]
    made_for = export.export(jax.jit(run), platforms=["cuda"], disabled_checks=allowed)(
        made.spread(model, 130)
    )
    assert made_for.mlir_module().count(f"@{TRITON}") == 1
    assert in_kernel == [True]


@pytest.mark.slow
def test_what_the_kernel_cannot_do_stays_with_the_scan(made, in_kernel):
    solved(made, "saturable", Numerics(method="explicit"), interval=12.0, steady=1)
    solved(made, "oral", Numerics(method="closed form"))
    assert in_kernel == [False, False]


def test_the_kernel_is_asked_for_and_needs_a_graphics_processor(monkeypatch):
    here = [("", "gpu"), ("1", "cpu"), ("1", "gpu")]
    found = []
    for asked, backend in here:
        monkeypatch.setenv(kernel.SWITCH, asked)
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        found.append(kernel.is_wanted())
    assert found == [False, False, True]
