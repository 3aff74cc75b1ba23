"""Structural models of the library, against closed forms and the papers' equations.

Each is held to a number that others published, or to the solution of the equations as
the paper writes them: in closed form, or integrated by scipy.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import lambertw
from scipy.stats import gamma, gompertz, lognorm, weibull_min

from vtrial.dosing import expand, parse_regimen
from vtrial.dosing.doses import no_doses, times
from vtrial.dosing.table import read_events
from vtrial.model.sheet import load_model
from vtrial.solver.host import simulate
from vtrial.solver.prediction import predict
from vtrial.types import Numerics

TIGHT = Numerics(rtol=1e-9, atol=1e-11)
STIFF = Numerics(rtol=1e-6, atol=1e-9, method="stiff")


def course(name, grid, words=None, *, numerics=TIGHT, **changes):
    """Simulate the typical subject; return outputs and states by name.

    Times are in the model's unit and lie behind doses at the same time.
    """
    model = load_model(name)
    inputs = {k: jnp.asarray(v) for k, v in (model.typical() | changes).items()}
    doses = no_doses() if words is None else given(model, words)
    scale = {"h": 1.0, "d": 24.0, "min": 1 / 60}[model.time]
    solved = simulate(
        model,
        inputs,
        doses,
        times(scale * np.asarray(grid, float), rank=2),
        numerics=numerics,
        keep_states=True,
    )
    assert (solved.status == 0).all()
    seen = {k: np.asarray(v[0]) for k, v in solved.outputs.items()}
    if model.states:
        rows = np.asarray(solved.states[0]).T
        seen |= dict(zip(model.states, rows, strict=True))
    return seen


def given(model, words):
    return expand(parse_regimen(words, model=model), {})


def values(name):
    return load_model(name).typical()


def area(name, words, output, end, count=40001, **changes):
    """Return the area under an output by Simpson's rule."""
    grid = np.linspace(0, end, count)
    seen = course(name, grid, words, **changes)[output]
    weights = np.ones(count)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float(weights @ seen) * end / (count - 1) / 3


# Indirect responses


@pytest.mark.parametrize(("kind", "top", "sign"), [(1, "IMAX", -1), (3, "SMAX", 1)])
def test_area_of_a_response_whose_production_changes(kind, top, sign):
    """Krzyzanski and Jusko 1998: R0 Smax/k ln(1 + D/(V SC50)), whatever kout is."""
    name = f"indirect-response-{kind}"
    p = values(name)
    half, rest = p[f"tv{top[0]}C50"], p["tvBASE"]
    rate = p["tvCL"] / p["tvV"]
    wanted = rest * p[f"tv{top}"] / rate * np.log1p(100 / (p["tvV"] * half))
    found = area(name, "100 mg", "response", 240.0) - 240 * rest
    assert found == pytest.approx(sign * wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (1, lambda effect: 1 - effect),
        (2, lambda effect: 1 / (1 - effect)),
        (3, lambda effect: 1 + effect),
        (4, lambda effect: 1 / (1 + effect)),
    ],
)
def test_indirect_response_at_rest_and_at_steady_state(kind, level):
    """Dayneka 1993: where production and loss are equal, with drug and without."""
    name = f"indirect-response-{kind}"
    p = values(name)
    assert course(name, [0, 50])["response"] == pytest.approx([p["tvBASE"]] * 2)
    conc = 1.8 / p["tvCL"]
    top = next(p[k] for k in ("tvIMAX", "tvSMAX") if k in p)
    half = next(p[k] for k in ("tvIC50", "tvSC50") if k in p)
    seen = course(name, [400.0], "900 mg over 500 h")
    wanted = p["tvBASE"] * level(top * conc / (half + conc))
    assert seen["response"] == pytest.approx([wanted], rel=1e-6)


# Direct effects


def test_duration_of_an_effect_goes_with_the_logarithm_of_the_dose():
    """Levy 1966: ln(D/Dmin)/k, where Dmin just reaches the effect."""
    name = "direct-sigmoid-emax"
    p = values(name)
    rate, effect = p["tvCL"] / p["tvV"], 40.0
    level = p["tvEC50"] * (effect / (p["tvEMAX"] - effect)) ** (1 / p["HILL"])
    for dose in (100, 200, 800):
        end = np.log(dose / (level * p["tvV"])) / rate
        seen = course(name, [end], f"{dose} mg")
        assert seen["effect"] == pytest.approx([p["tvE0"] + effect], rel=1e-9)


def test_half_of_the_effect_is_at_its_concentration():
    p = values("direct-emax")
    seen = course("direct-emax", [0.0], f"{p['tvEC50'] * p['tvV']:g} mg")
    assert seen["effect"] == pytest.approx([p["tvE0"] + p["tvEMAX"] / 2])
    assert course("direct-emax", [5.0])["effect"] == pytest.approx([p["tvE0"]])


def test_effect_site_peaks_where_it_meets_the_plasma():
    """Sheiner 1979: after a bolus at ln(ke0/k)/(ke0 - k)."""
    p = values("effect-compartment")
    rate, follow = p["tvCL"] / p["tvV"], p["tvKE0"]
    peak = np.log(follow / rate) / (follow - rate)
    seen = course("effect-compartment", [peak - 0.1, peak, peak + 0.1], "100 mg")
    assert seen["site"][1] == pytest.approx(seen["conc"][1], rel=1e-9)
    assert seen["site"][1] > max(seen["site"][0], seen["site"][2])


# Absorption and disposition


def test_transit_chain_is_the_formula_of_its_paper():
    """Savic 2007, equation for the input at a whole N, convolved with what follows."""
    name = "transit-absorption"
    p = values(name)
    chain = 6 / p["tvMTT"]
    ke = p["tvCL"] / p["tvV"]

    def rest(time):
        fast = p["tvKA"]
        return fast / (fast - ke) * (np.exp(-ke * time) - np.exp(-fast * time))

    grid = np.array([0.5, 1.0, 2.0, 4.0, 9.0])
    wanted = [
        100
        / p["tvV"]
        * quad(
            lambda s, t=t: gamma.pdf(s, 6, scale=1 / chain) * rest(t - s),
            *(0, t),
            epsabs=1e-12,
        )[0]
        for t in grid
    ]
    seen = course(name, grid, "100 mg")
    np.testing.assert_allclose(seen["conc"], wanted, rtol=1e-8)


def test_zero_order_absorption_is_an_infusion_of_what_is_absorbed():
    p = values("zero-order-absorption")
    ke = p["tvCL"] / p["tvV"]
    top = p["tvF1"] * 100 / p["tvD1"] / p["tvCL"] * (1 - np.exp(-ke * p["tvD1"]))
    seen = course(
        "zero-order-absorption", [3.0, 8.0], "100 mg into central over model duration"
    )
    assert seen["conc"] == pytest.approx([top, top * np.exp(-5 * ke)], rel=1e-9)


def test_areas_of_parent_and_metabolite():
    """Houston 1981: what is formed, over the metabolite's clearance."""
    name = "parent-metabolite"
    p = values(name)
    entering = (1 - p["tvFP"]) * 100
    formed = p["tvFP"] * 100 + p["tvFM"] * entering
    found = [area(name, "100 mg", out, 150.0) for out in ("conc", "concm")]
    assert found == pytest.approx([entering / p["tvCL"], formed / p["tvCLM"]], rel=1e-6)


@pytest.mark.slow
def test_recycling_multiplies_the_area():
    """Roberts 2002: by 1/(1 - share recycled), however slowly the bile returns."""
    name = "enterohepatic-recycling"
    p = values(name)
    for release in (0.05, 0.25, 2.0):
        found = area(name, "100 mg", "conc", 1500.0, tvKG=release)
        once = p["tvFA"] * 100 / p["tvCL"]
        wanted = once / (1 - p["tvFA"] * p["tvFB"])
        assert found == pytest.approx(wanted, rel=1e-6)


def test_saturable_elimination_is_lambert_s_function():
    """Schnell and Mendoza 1997: C = KM W(C0/KM exp((C0 - VMAX t/V)/KM))."""
    name = "michaelis-menten-elimination"
    p = values(name)
    first, grid = 900 / p["tvV"], np.array([1.0, 10, 30, 60, 120])
    fall = np.exp((first - p["tvVMAX"] / p["tvV"] * grid) / p["tvKM"])
    wanted = p["tvKM"] * lambertw(first / p["tvKM"] * fall).real
    seen = course(name, grid, "900 mg")
    np.testing.assert_allclose(seen["conc"], wanted, rtol=1e-8)


def test_saturable_steady_state():
    """Wagner 1973: KM R/(VMAX - R)."""
    name = "michaelis-menten-elimination"
    p = values(name)
    seen = course(name, [3000.0], "60000 mg over 5000 h")
    wanted = p["tvKM"] * 12 / (p["tvVMAX"] - 12)
    assert seen["conc"] == pytest.approx([wanted], rel=1e-6)


# Targets


def mager(time, state, p):
    """Mager and Jusko 2001 in concentrations: plasma, tissue, target, complex."""
    plasma, tissue, target, complex_ = state
    rates = p["tvCL"] / p["tvV"], p["tvQ"] / p["tvV"], p["tvQ"] / p["tvV2"]
    binding = p["KON"] * plasma * target - p["KOFF"] * complex_
    return [
        -(rates[0] + rates[1]) * plasma + rates[2] * tissue / p["tvV"] - binding,
        rates[1] * plasma * p["tvV"] - rates[2] * tissue,
        p["KDEG"] * (p["tvR0"] - target) - binding,
        binding - p["KINT"] * complex_,
    ]


def test_full_target_model_is_the_paper_s():
    p = values("tmdd-full")
    grid = np.array([0.1, 1, 7, 21, 60, 90])
    start = [1000 / p["tvV"], 0, p["tvR0"], 0]
    exact = solve_ivp(
        mager, (0, 90), start, "BDF", grid, args=(p,), rtol=1e-10, atol=1e-12
    )
    seen = course("tmdd-full", grid, "1000 nmol")
    np.testing.assert_allclose(seen["conc"], exact.y[0], rtol=1e-6, atol=1e-9)
    total = exact.y[2] + exact.y[3]
    np.testing.assert_allclose(seen["total"], total, rtol=1e-6)


@pytest.mark.parametrize("name", ["tmdd-full", "tmdd-quasi-steady-state"])
def test_target_rests_and_gathers_at_high_doses(name):
    """All of it bound, the target's total goes to KSYN/KINT (Gibiansky 2008)."""
    p = values(name)
    rest = course(name, [0, 30])
    assert rest["total"] == pytest.approx([p["tvR0"]] * 2)
    seen = course(name, [200.0], "1e7 nmol", numerics=STIFF)
    most = p["KDEG"] * p["tvR0"] / p["KINT"]
    assert seen["total"] == pytest.approx([most], rel=1e-3)


@pytest.mark.slow
def test_quasi_steady_state_is_near_the_full_model_and_nearer_the_faster_it_binds():
    """Gibiansky 2008: the approximation is good where binding is fast."""
    grid = np.linspace(1, 80, 80)
    p = values("tmdd-full")
    gaps = []
    for speed in (0.1, 1.0, 10.0):
        fast = {"KON": p["KON"] * speed, "KOFF": p["KOFF"] * speed}
        whole = course("tmdd-full", grid, "1000 nmol", **fast)
        half = (fast["KOFF"] + p["KINT"]) / fast["KON"]
        short = course("tmdd-quasi-steady-state", grid, "1000 nmol", KSS=half)
        gaps.append(np.abs(short["total"] / whole["total"] - 1).max())
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    assert gaps[1] < 0.05
    assert values("tmdd-quasi-steady-state")["KSS"] == pytest.approx(
        (p["KOFF"] + p["KINT"]) / p["KON"]
    )


# Viruses


def test_hiv_falls_as_in_the_paper():
    """Perelson 1996, equation 6: the virus after a drug that works completely."""
    p = values("viral-dynamics-hiv")
    c, delta, grid = p["tvC"], p["tvDELTA"], np.array([0, 0.5, 1, 2, 4, 7])
    fast, slow = np.exp(-c * grid), np.exp(-delta * grid)
    shape = c / (c - delta) * (slow - fast) - delta * grid * fast
    wanted = 2 * p["tvV0"] * (fast + c / (c - delta) * shape)
    seen = course("viral-dynamics-hiv", grid)
    np.testing.assert_allclose(seen["rna"], wanted, rtol=1e-9)
    assert course("viral-dynamics-hiv", [9.0], EFFICACY=0.0)["rna"] == pytest.approx(
        [2 * p["tvV0"]]
    )
    encoded = 3.9e-7 * 11000  # infection by cells as the benchmark collection has it
    assert c / p["BURST"] == pytest.approx(encoded, rel=5e-4)


def test_target_cells_run_out_as_published():
    """Dodds 2021: basic reproduction number 8.6, virus at its height near day 9."""
    name = "viral-dynamics-target-cells"
    model = load_model(name)
    known = model.individual({k: jnp.asarray(v) for k, v in model.typical().items()})
    assert float(known["R0"]) == pytest.approx(8.6, abs=0.05)
    grid = np.arange(0, 20, 0.1)
    seen = course(name, grid)
    assert grid[seen["virus"].argmax()] == pytest.approx(9, abs=1.5)
    decay = np.log(seen["virus"][150] / seen["virus"][160])
    assert decay == pytest.approx(model.typical()["tvDELTA"], rel=0.05)


# Physiology


def test_antibody_in_fluids_at_steady_state():
    """Cao 2013: tissue over plasma is (1 - sigma)/(1 - sigma of the lymph)."""
    p = values("minimal-pbpk-antibody")
    end = course("minimal-pbpk-antibody", [400.0], "20000 mg over 500 d")
    assert end["conc"] == pytest.approx([40 / p["tvCLP"]], rel=1e-6)
    for tissue, sigma in (("ctight", "SIGMA1"), ("cleaky", "SIGMA2")):
        ratio = (1 - p[sigma]) / (1 - p["SIGMAL"])
        assert end[tissue] == pytest.approx(ratio * end["conc"], rel=1e-6)


def test_antibody_is_lost_from_the_plasma_only():
    name = "minimal-pbpk-antibody"
    p = values(name)
    lost = p["tvCLP"] * area(name, "700 mg", "conc", 30.0)
    end = course(name, [30.0], "700 mg")
    held = sum(end[state][0] for state in ("central", "tight", "leaky", "lymph"))
    assert held + lost == pytest.approx(700, rel=1e-6)


INSULIN = np.array(  # made up: a first and a second phase, min and pmol/L
    [[0, 27], [3, 420], [8, 260], [20, 130], [40, 190], [90, 90], [180, 27], [240, 27]]
)


def test_glucose_follows_the_minimal_model(tmp_path):
    """Bergman 1979 with insulin in straight lines, integrated by scipy."""
    rows = ["ID,TIME,AMT,EVID,INS,WT,FEMALE,AGE,FAT,VAF,GB,IB"]
    person = "80,1,60,35,120,95,30"
    rows.append(f"1,0,24000,1,27,{person}")
    rows += [f"1,{t},0,0,{level},{person}" for t, level in INSULIN]
    path = tmp_path / "clamp.csv"
    path.write_text("\n".join(rows) + "\n")
    model = load_model("glucose-minimal-model")
    events = read_events(
        path,
        states=model.states,
        covariates=[c.name for c in model.covariates],
        time=model.time,
        convention="linear",
    )
    seen = predict(model, events, numerics=TIGHT)
    volume = 1.65 * np.exp(0.00181 * 4.47 - 0.0101 * 2.61 - 0.00312 * 3.66)
    sensitivity = 5.83e-5 * np.exp(-0.0081 * 4.47 + 0.00208 * 21.8 - 0.0282 * 3.02)
    follow = 0.0254 * np.exp(-0.0110 * 4.47 - 0.0150 * 3.02)

    def rate(time, state):
        above = np.interp(time, *INSULIN.T) - 30
        glucose, action = state
        return [
            -(0.0192 + action) * glucose + 0.0192 * 95,
            -follow * action + follow * sensitivity * above,
        ]

    state, wanted = [95 + 24000 / 80 / volume, 0.0], []
    for (begin, _), (end, _) in zip(INSULIN[:-1], INSULIN[1:], strict=True):
        wanted.append(state[0])
        stage = solve_ivp(rate, (begin, end), state, rtol=1e-10, atol=1e-12)
        state = stage.y[:, -1]
    np.testing.assert_allclose(seen.conc, [*wanted, state[0]], rtol=1e-6)


def test_glucose_returns_by_its_own_effectiveness():
    """Bergman 1979: without more insulin the excess falls as exp(-SG t)."""
    p = values("glucose-minimal-model")
    grid = np.array([0.0, 10, 60, 180])
    seen = course("glucose-minimal-model", grid, "22.5 g")
    excess = 22500 / 75 / p["tvVOLM"] * np.exp(-p["tvSG"] * grid)
    np.testing.assert_allclose(seen["conc"], p["GB"] + excess, rtol=1e-9)


# Times to events

LAWS = {
    "weibull": lambda p: weibull_min(p["SHAPE"], scale=p["SCALE"]),
    "gompertz": lambda p: gompertz(p["RATE"] / p["GROWTH"], scale=1 / p["GROWTH"]),
    "lognormal": lambda p: lognorm(p["SIGMA"], scale=p["MEDIAN"]),
}


@pytest.mark.parametrize("law", LAWS)
def test_survival_is_the_distribution_of_its_name(law):
    """Scipy's distributions give survival, hazard, and the day of a quantile."""
    name = f"time-to-event-{law}"
    exact = LAWS[law](values(name))
    grid = np.array([0.0, 10, 100, 365, 1000])
    seen = course(name, grid)
    np.testing.assert_allclose(seen["survival"], exact.sf(grid), rtol=1e-9)
    hazard = exact.pdf(grid[1:]) / exact.sf(grid[1:])
    np.testing.assert_allclose(seen["hazard"][1:], hazard, rtol=1e-9)
    for luck, share in ((0.0, 0.5), (1.2815515655446004, 0.9)):
        day = float(exact.isf(share))
        changes = {"eta.EVENT": luck}
        due = course(name, [day - 1, day, day + 1], **changes)["due"]
        assert due[0] < 0 < due[2]
        assert due[1] == pytest.approx(0, abs=1e-9)
