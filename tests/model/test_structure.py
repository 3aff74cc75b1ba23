"""What depends on what: sorted right, and differentiated right, for every model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.errors import ModelError
from vtrial.model.grammar import parse_model
from vtrial.model.sheet import library, load_model
from vtrial.model.structure import analyse

LINEAR = {
    "docetaxel-neutropenia": ("central", "peripheral1", "peripheral2"),
    "docetaxel-neutropenia-ozawa": (
        "central",
        "peripheral1",
        "peripheral2",
        "released",
    ),
    **dict.fromkeys([f"indirect-response-{kind}" for kind in "1234"], ("central",)),
    **dict.fromkeys(
        [
            *("michaelis-menten-elimination", "tmdd-full", "tmdd-quasi-steady-state"),
            *("viral-dynamics-target-cells", "motesanib-survival"),
            *("rifampicin-plasma", "exenatide-plasma", "nivolumab-serum"),
            *("tocilizumab-das28", "tumour-inhibition"),
        ],
        (),
    ),
    "glucose-minimal-model": ("action",),
    "carboplatin-ovarian": ("size",),
    "darbepoetin-haemoglobin": ("depot", "central", "peripheral"),
    "dupilumab-serum": ("depot", "t1", "t2", "t3"),
    "evolocumab-ldl": ("depot",),
    "paclitaxel-xenograft": ("central", "peripheral"),
    "warfarin-pca": ("depot", "gut", "central"),
    "paclitaxel-leukocytes": ("central", "peripheral"),
    "pazopanib-plasma": ("depot", "slow", "faded", "slow_faded"),
    "tirzepatide-weight": ("depot",),
    "voriconazole-plasma": ("depot",),
    "warfarin-inr": ("depot", "central", "peripheral"),
    "type-1-diabetes": ("bolus1", "bolus2", "bolus3"),
}


def moving(name):
    """Load a model of the library that has states."""
    model = load_model(name)
    if not model.states:
        pytest.skip("no states")
    return model


def point(model, seed):
    """Draw inputs and states near the typical ones."""
    rng = np.random.default_rng(seed)
    inputs = {k: jnp.asarray(v) for k, v in model.typical().items()}
    inputs |= {eta: jnp.asarray(rng.normal(0, 0.3)) for eta in model.etas}
    individual = model.individual(inputs)
    start = np.array([float(x) for x in model.initial(individual)])
    state = start * rng.uniform(0.5, 1.5, start.size) + rng.uniform(0, 5, start.size)
    return individual, jnp.asarray(state)


@pytest.mark.parametrize("name", library())
@pytest.mark.parametrize("seed", [1, 2])
def test_jacobian_equals_automatic_differentiation(name, seed):
    model = moving(name)
    individual, state = point(model, seed)

    def flow(x):
        return jnp.stack(model.derivative(1.5, tuple(x), individual, after_dose=0.5))

    wanted = np.asarray(jax.jacfwd(flow)(state))
    rows = model.jacobian(1.5, tuple(state), individual, after_dose=0.5)
    found = np.array([[0.0 if e is None else float(e) for e in row] for row in rows])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    pattern = np.array(model.structure.pattern)
    assert not wanted[~pattern].any(), "a structural zero is zero"


@pytest.mark.parametrize("name", library())
def test_linear_block_is_found_and_reproduces_the_flow(name):
    model = moving(name)
    block = model.structure.linear
    assert block == LINEAR.get(name, model.states)
    individual, state = point(model, 3)
    flow = model.derivative(0.0, tuple(state), individual)
    matrix = model.linear_matrix(individual)
    constant = model.linear_constant(individual)
    for i, row_name in enumerate(block):
        total = 0.0 if constant[i] is None else float(constant[i])
        for j, column in enumerate(block):
            entry = matrix[i][j]
            if entry is not None:
                total += float(entry) * float(state[model.states.index(column)])
        want = float(flow[model.states.index(row_name)])
        assert total == pytest.approx(want, rel=1e-9, abs=1e-12)


def structure(text, outputs=()):
    return analyse(parse_model(text), outputs)


def test_statements_are_sorted_by_what_they_need():
    found = structure(
        "K = CL/V\nc = x/V\ne = EMAX*c\nz = t*K\nd/dt(x) = -K*x\ninit(x) = K\n"
        "lag(x) = ALAG\ny = 2*e + z",
        ("y",),
    )
    assert [s.name for s in found.static] == ["K"]
    assert found.dynamic == ()
    assert [s.name for s in found.observed] == ["c", "e", "z", "y"]
    assert [s.kind for s in found.properties] == ["lag"]
    assert not found.uses_time, "only an output looks at the clock"
    (dependence,) = found.dependence
    assert dependence.reads == ("x",)
    assert dependence.inputs == ("ALAG", "CL", "EMAX", "V")
    assert dependence.time


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("d/dt(x) = -K*x + R", ("x",)),
        ("d/dt(x) = -K*x*t", ()),
        ("d/dt(x) = -K*x*tad", ()),
        ("d/dt(x) = -VM*x/(KM + x)", ()),
        ("d/dt(x) = -K*x\nd/dt(y) = x - y*y", ("x",)),
        ("d/dt(x) = -K*x + y\nd/dt(y) = -y*x", ()),
        ("k = if(x > 1, 2, 3)\nd/dt(x) = -k", ()),
        ("k = floor(x)\nd/dt(x) = -k", ()),
        ("d/dt(x) = if(WT > 70, 2, 3)*x", ("x",)),
        ("d/dt(x) = min(1, 2)*x + max(K, 1)", ("x",)),
        ("d/dt(x) = min(x, 1)", ()),
        ("d/dt(x) = x^2/x^1", ()),
        ("v = 2*x\nw = v - x\nd/dt(x) = -K*w", ("x",)),
        ("d/dt(a) = -a\nd/dt(b) = a*a\nd/dt(c) = a - c", ("a", "c")),
    ],
)
def test_linear_block(text, block):
    assert structure(text).linear == block


def test_model_without_states_is_algebra():
    found = structure("y = EMAX*DOSE/(ED50 + DOSE)", ("y",))
    assert found.is_algebra
    assert not found.is_linear
    assert found.jacobian == ()


def test_slopes_of_variables_are_written_once():
    found = structure("c = x/V\ne = c^2*c\nd/dt(x) = -e*x - e\nd/dt(y) = e")
    assert [s.name for s in found.slopes] == ["c|x", "e|x"]
    assert found.pattern == ((True, False), (True, False))
    assert found.constant == ((False, True), (False, True))


def test_tangles_are_refused(monkeypatch):
    monkeypatch.setattr("vtrial.model.structure.MAX_SLOPES", 100)
    states = "\n".join(f"d/dt(x{i}) = v30" for i in range(20))
    total = "v0 = " + " + ".join(f"x{i}" for i in range(20))
    chain = "\n".join(f"v{i + 1} = v{i}*v{i}" for i in range(30))
    with pytest.raises(ModelError, match="`v6`, too tangled"):
        structure(f"{states}\n{total}\n{chain}")
