"""Drugs that distribute over compartments, against closed forms and published numbers.

Clearances and volumes are typed in again, with the covariates of somebody who differs
from the typical subject; the rate matrix of the sheet must be that of these numbers.
"""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize

import vtrial as vt

DAY = 24.0


def rate_matrix(clearance, central, *others):
    """Return the rates of a central volume with others, each a pair (Q, V)."""
    size = 1 + len(others)
    matrix = np.zeros((size, size))
    matrix[0, 0] = -clearance / central
    for place, (flow, volume) in enumerate(others, start=1):
        matrix[0, 0] -= flow / central
        matrix[0, place] = flow / volume
        matrix[place, 0] = flow / central
        matrix[place, place] = -flow / volume
    return matrix


def half_life(matrix):
    return np.log(2) / -np.linalg.eigvals(matrix).real.max()


HOURS = {  # somebody's covariates; clearance, central volume, then pairs of Q and V
    "carboplatin-plasma": ({"BSA": 2.0}, 6.38, 19.0, (2.7, 9.56)),
    "methotrexate-plasma": (
        {"SCR": 134.0, "AGE": 31.0},
        7.1 * 2**-0.43 * 2**0.22,
        25.1,
        (0.15, 2.7),
    ),
    "vancomycin-plasma-goti": (
        {"WT": 62.0, "CRCL": 34.0, "DIALYSIS": 1.0},
        4.5 * (34 / 120) ** 0.8 * 0.7,
        58.4 * 62 / 70 / 2,
        (6.5, 38.4),
    ),
    "vancomycin-plasma-thomson": (
        {"WT": 80.0, "CRCL": 100.0},
        2.99 * (1 + 0.0154 * 34),
        54.0,
        (2.28, 58.56),
    ),
    "vancomycin-plasma-buelga": ({"WT": 70.0, "CRCL": 6.0}, 6.48, 68.6),
    "gentamicin-neonates": (
        {"WT": 3.5, "PMA": 40.0, "PNA": 3.4, "SCR": 60.0},
        6.21 * 0.05**0.632 / (1 + 1.385**3.33) * (2 / 3) * (60 / 52.528) ** -0.13,
        1.325,
        (2.15 * 0.05**0.75, 1.06),
        (0.271 * 0.05**0.75, 7.4),
    ),
    "amikacin-plasma": (
        {"WT": 62.0, "CRCL": 50.0, "PF": 300.0},
        4.3 * (50 / 82) ** 0.7,
        15.9 * (62 / 78) ** 0.9 * (300 / 169) ** 0.4,
        (12.1, 21.4),
    ),
    "piperacillin-plasma": ({"WT": 105.0}, 25.65, 7.2, (52.0, 17.8)),
    "meropenem-lung": (
        {"WT": 90.0, "GFR": 130.0},
        7.944 * 2**0.722,
        13.57 * 1.2**0.949,
        (6.727, 4.083 * 1.2**1.043),
        (8.222, 10.11),
    ),
    "cefepime-plasma": ({"WT": 60.0, "CRCL": 108.0}, 4.526, 13.4 * 2 / 3, (12.0, 7.52)),
    "tacrolimus-children": (
        {"WT": 35.0, "GFR": 138.0, "HCT": 0.24, "CYP3A5": 1.0},
        50.5 * 0.5**0.75 * 1.98 * 0.74 * 2**0.19 * 0.8**-0.44,
        103.0,
        (114 * 0.5**0.75, 760.0),
    ),
    "hydroxychloroquine-plasma": ({"WT": 100.0}, 14.92 * 1.25**1.204, 861.5),
    "phenobarbital-neonates": ({}, 0.006714, 1.4118),
    "semaglutide-plasma": (
        {"WT": 102.0, "DIABETES": 1.0},
        0.0348 * 1.2**1.01 * 1.12,
        3.59 * 1.2**0.923,
        (0.304 * 1.2**1.01, 4.10 * 1.2**0.923),
    ),
    "empagliflozin-hba1c": (
        {"WT": 105.0},
        9.87 * 1.5**0.75,
        4.53,
        (5.16 * 1.5**0.75, 90.6),
    ),
}
DAYS = {
    "trastuzumab-serum": (
        {"WT": 84.0, "ECD": 300.0, "MET4": 1.0},
        0.225 * 1.221 * (200 / 8.23) ** 0.041,
        2.95 * 1.2**0.556 * (200 / 8.23) ** 0.105,
    ),
    "infliximab-serum": (
        {"WT": 92.4, "ALB": 3.28, "FEMALE": 1.0, "ADA": 1.0},
        0.407 * 0.8**-1.54 * 1.471 * 0.764,
        3.29 * 1.2**0.538 * 0.863,
        (7.14, 4.13),
    ),
    "pembrolizumab-serum": (
        {"WT": 96.0, "ALB": 33.0, "FEMALE": 1.0, "NSCLC": 1.0, "ECOG1": 1.0},
        0.22 * 1.25**0.595 * (33 / 39.6) ** -0.907 * 0.848 * 1.145 * 0.9261,
        3.48 * 1.25**0.489 * (33 / 39.6) ** -0.208 * 0.866,
        (0.795 * 1.25**0.595, 4.06 * 1.25**0.489),
    ),
    "antibody-serum": (
        {"WT": 84.0},
        0.2 * 1.2**0.865,
        3.61 * 1.2**0.957,
        (0.747 * 1.2**0.865, 2.75 * 1.2**0.957),
    ),
    "darbepoetin-haemoglobin": (
        {"WT": 84.0, "PLATINUM3": 1.0},
        2.01 * 0.737 * 1.2**0.623,
        3.39 * 1.2**0.639,
        (2.9, 0.251),
    ),
}
BODY = ("central", "peripheral", "lung", "peripheral1", "peripheral2")


@pytest.mark.parametrize("name", [*HOURS, *DAYS])
def test_rates_are_those_of_clearances_and_volumes(rates, name):
    changes, *numbers = HOURS[name] if name in HOURS else DAYS[name]
    states = [s for s in BODY if s in vt.load_model(name).states]
    if name == "meropenem-lung":
        states = ["central", "lung", "peripheral"]
    wanted = rate_matrix(*numbers)
    if (
        name == "trastuzumab-serum"
    ):  # micro-constants, which do not depend on the volume
        wanted = rate_matrix(*numbers, (0.164 * numbers[1], 0.164 / 0.101 * numbers[1]))
    hours = 1.0 if name in HOURS else DAY
    found = hours * rates(name, states, **changes)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "days", "within"),
    [
        ("trastuzumab-serum", 28.5, 0.01),  # Bruno 2005, abstract
        ("pembrolizumab-serum", 26.0, 0.07),  # first label of 2014, without covariates
        ("semaglutide-plasma", 7.0, 0.1),  # label, about one week
    ],
)
def test_half_life_as_published(rates, name, days, within):
    matrix = rates(name, ["central", "peripheral"])
    assert half_life(matrix) / DAY == pytest.approx(days, rel=within)


@pytest.mark.parametrize(
    ("age", "weight", "creatinine", "clearance"),
    [(35, 70, 0.83, 4.10), (60, 65, 0.97, 2.55)],
)
def test_vancomycin_clearance_of_colin(individual, age, weight, creatinine, clearance):
    """The abstract and section 4 of Colin 2019: 4.10 and 2.55 L/h."""
    known = individual(
        "vancomycin-plasma-colin",
        PMA=age + 40 / 52,
        WT=float(weight),
        SCR=creatinine,
    )
    assert known["CL"] == pytest.approx(clearance, abs=0.01)
    if age == 35:
        assert known["V1"] == 42.9
        assert known["SCRSTD"] == pytest.approx(creatinine, abs=0.005)


def test_busulfan_clearance_of_mccune(individual):
    """The abstract of McCune 2014: 12.4 L/h at 62 kg, 95 % of it at 2.5 years.

    12.4 L/h are those of the first hours: 11.4 are 0.919 of them, after 36 h.
    """
    adult = {"WT": 62.0, "FFM": 62.0, "AGE": 1e3}  # without fat, and mature
    known = individual("busulfan-plasma", **adult)
    assert known["CL"] == pytest.approx(12.4 * 0.919, abs=0.01)
    child = individual("busulfan-plasma", **adult | {"AGE": 2.5})
    assert child["CL"] / known["CL"] == pytest.approx(0.95, abs=0.005)
    stout = individual("busulfan-plasma", **adult | {"WT": 82.0, "FEMALE": 1.0})
    assert stout["CL"] == pytest.approx(11.4 * ((62 + 0.509 * 20) / 62) ** 0.75)
    assert stout["V2"] == pytest.approx(29.9 * 1.07 * (62 + 0.203 * 20) / 70)


def test_vancomycin_of_goti_as_monolix_estimates_it(individual):
    """Monolix's mode for one patient: CL 1.72, V1 59.8 and V2 41.6.

    By way of posologyr's tests: two doses of 1 h, two concentrations; there the two
    parts of the residual error add up.
    """
    doses, seen = [(0.0, 1900.0), (22.2, 1750.0)], [(12.0, 14.8), (37.5, 22.5)]
    model = vt.load_model("vancomycin-plasma-goti")
    given = {"WT": 62.0, "CRCL": 34.0}
    names = ["CL", "V1", "V2"]
    spread = np.array([row.covariance[0][0] for row in model.random])
    error = model.outputs[0].error
    typical = individual("vancomycin-plasma-goti", **given)

    def now(etas):
        return {n: typical[n] * np.exp(e) for n, e in zip(names, etas, strict=True)}

    def conc(known, at):
        flow = rate_matrix(known["CL"], known["V1"], (typical["Q"], known["V2"]))
        held = np.zeros((3, 3))
        held[:2, :2] = flow
        amount = 0.0
        for begin, dose in doses:
            if at > begin:
                held[0, 2] = dose  # an infusion of 1 h, as a third state that is 1
                amount += (expm((at - begin - 1) * flow) @ expm(held)[:2, 2])[0]
        return amount / known["V1"]

    def cost(etas):
        known = now(etas)
        total = float((etas**2 / spread).sum())
        for at, value in seen:
            expected = conc(known, at)
            scale = error.additive + error.proportional * expected
            total += ((value - expected) / scale) ** 2 + 2 * np.log(scale)
        return total

    known = now(minimize(cost, np.zeros(3), method="BFGS").x)
    assert known["CL"] == pytest.approx(1.72, rel=0.01)
    assert known["V1"] == pytest.approx(59.8, rel=0.01)
    assert known["V2"] == pytest.approx(41.6, rel=0.01)


def test_phenobarbital_as_nonmem_estimates_it(individual):
    """NONMEM on the same 59 children: CL exp(-4.99035), V exp(0.339869)."""
    known = individual("phenobarbital-neonates")
    assert known["CL"] == pytest.approx(np.exp(-4.99035), rel=0.02)
    assert known["V"] == pytest.approx(np.exp(0.339869), rel=0.02)


def test_tacrolimus_factors_are_those_that_the_equation_rounds(individual):
    """The printed equation has 1.0 and 2.0 for CYP3A5; HCT above 0.3 does nothing."""
    for expressed, factor in ((0.0, 1.0), (1.0, 2.0)):
        given = {"WT": 70.0, "CYP3A5": expressed, "LIVING": 0.0, "HCT": 0.4}
        known = individual("tacrolimus-children", **given)
        assert known["CL"] == pytest.approx(50.5 * factor, rel=0.041)


def test_meropenem_reaches_the_lung(course):
    """In a steady state the lining fluid has 0.2486 of plasma, on average."""
    at = np.linspace(160, 168, 201)
    found = course("meropenem-lung", "1000 mg over 30 min every 8 h x 21", at)
    plasma = np.trapezoid(found["conc"][0], at)
    assert plasma == pytest.approx(1000 / 7.944, rel=2e-3)
    assert np.trapezoid(found["fluid"][0], at) == pytest.approx(
        0.2486 * plasma, rel=2e-3
    )


def test_piperacillin_begins_late(course):
    at = [0.05, 0.3]
    found = course("piperacillin-plasma", "4000 mg over 20 min", at)["conc"][0]
    assert found[0] == 0 < found[1]


def test_semaglutide_at_steady_state(course):
    """About 30 nmol/L on average at 1 mg a week in type 2 diabetes (label)."""
    at = np.linspace(25 * 168, 26 * 168, 50)
    words = "1 mg every 7 d x 30"
    found = course("semaglutide-plasma", words, at, WT=89.0, DIABETES=1.0)
    assert found["conc"].mean() == pytest.approx(30, rel=0.05)


@pytest.mark.slow
def test_nivolumab_clearance_falls(course):
    """By 24.5 % on average, to 8.2 mL/h, says the label; here the typical man."""
    found = course("nivolumab-serum", None, [0.0, 1410.0, 1e5], MALE=1.0)
    clearance = 1000 * found["clearance"][0]
    assert clearance[2] == pytest.approx(8.2, rel=0.02)
    assert 1 - clearance[2] / clearance[0] == pytest.approx(0.245, abs=0.015)
    assert np.log(clearance[1] / clearance[0]) == pytest.approx(-0.295 / 2)


def test_antibody_under_the_skin_is_absorbed_by_its_share(course):
    at = np.linspace(0, 400 * DAY, 4001)
    found = course("antibody-serum", "150 mg", at)["conc"][0]
    area = np.trapezoid(found, at / DAY)
    assert area == pytest.approx(0.744 * 150 / 0.2, rel=1e-3)


def test_dupilumab_trough(course):
    """300 mg every two weeks after 600 mg: 73 to 80 mg/L in week 16 to 52 (label)."""
    words = "600 mg then 300 mg every 14 d x 25 after 14 d"
    found = course("dupilumab-serum", words, [364 * DAY - 0.1])["conc"].item()
    assert 73 * 0.9 < found < 80 * 1.1


def test_exenatide_is_absorbed_whole(course):
    """Whatever the shape of the absorption, the dose arrives; then it is gone in a day.

    Without saturable elimination the area under the curve is the dose over clearance.
    """
    at = np.linspace(0, 120, 4801)
    given = {"VMAX": 1e-12, "DOSE": 10.0}
    found = course("exenatide-plasma", "10 ug", at, **given)["conc"][0]
    assert np.trapezoid(found, at) == pytest.approx(1000 * 10 / 4.58, rel=5e-3)
    found = course("exenatide-plasma", "10 ug", at, DOSE=10.0)["conc"][0]
    assert 1.0 < at[found.argmax()] < 3.0, "the label says 2.1 h"
    assert found[at > 24].max() < 0.02 * found.max()


def test_warfarin_activity_at_steady_state(course):
    """A constant infusion leaves E0 times one less the effect of its concentration."""
    words = "80 mg over 2000 h into central"
    found = course("warfarin-pca", words, [0.0, 1990.0])
    conc = 80 / 2000 / 0.134518323412138
    assert found["conc"][0, 1] == pytest.approx(conc, rel=1e-6)
    effect = 0.988607003665261 * conc / (1.08178928440584 + conc)
    wanted = 96.6668696814384 * (1 - effect)
    assert found["pca"][0, 1] == pytest.approx(wanted, rel=1e-6)
    assert found["pca"][0, 0] == pytest.approx(96.6668696814384)
