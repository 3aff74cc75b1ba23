"""Responses to drugs against what their papers say of them."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

DAY, WEEK, YEAR = 24.0, 168.0, 8766.0


def test_empagliflozin_exposure(individual):
    """The text: 225, 674, 2250 and 5620 nmol.h/L at 1, 3, 10 and 25 mg."""
    for dose, area in ((1, 225), (3, 674), (10, 2250), (25, 5620)):
        known = individual("empagliflozin-hba1c", DOSE=float(dose))
        assert known["auc"] == pytest.approx(area, rel=2e-3)


def test_empagliflozin_glucose(course, individual):
    """The text: urine gains 72 and 75 g a day at 10 and 25 mg, from 8 mmol/L in plasma.

    The greatest falls are 1.3, 1.0, 1.7 and 2.2 mmol/L from 8, 7.4, 9.1 and 10 mmol/L.
    """
    at = [0.0, 12 * WEEK]
    given = {"STUDY": 1.0, "FPGA": 8.0}
    for dose, rise in ((10.0, 72), (25.0, 75)):
        known = individual("empagliflozin-hba1c", DOSE=dose, **given)
        found = course("empagliflozin-hba1c", None, at, DOSE=dose, **given)
        wanted = 8 * (1 - known["STIM"])
        assert found["glucose"][0].tolist() == pytest.approx([8, wanted], rel=1e-6)
        assert found["rise"][0, 1] == pytest.approx(rise, abs=0.5)
    for start, fall in ((8.0, 1.3), (7.4, 1.0), (9.1, 1.7), (10.0, 2.2)):
        known = individual("empagliflozin-hba1c", DOSE=1e9, STUDY=1.0, FPGA=start)
        assert start * known["STIM"] == pytest.approx(fall, abs=0.05)


def test_empagliflozin_leaves_hba1c_near_its_start_without_drug(course):
    """The production by 9.30 mmol/L holds what the loss above the limit takes away."""
    at = [0.0, 300 * WEEK]
    found = course("empagliflozin-hba1c", None, at, DOSE=0.0)["hba1c"][0]
    assert found[0] == 7.85
    assert found[1] == pytest.approx(3.34 + 0.078 * 9.30 / 0.167, rel=1e-6)
    assert course("empagliflozin-hba1c", None, at, DOSE=25.0)["hba1c"][0, 1] < found[1]


@pytest.mark.slow
def test_evolocumab_without_drug(course, individual):
    """5.27 and 3.36 nmol/L of PCSK9, losses in about 8 h and 2.3 d (text)."""
    found = course("evolocumab-ldl", None, [0.0, 100 * DAY], HEALTHY=[0.0, 1.0])
    np.testing.assert_allclose(found["ldl"], 116)
    np.testing.assert_allclose(found["pcsk9"][:, 0], [5.27, 3.36], atol=0.005)
    np.testing.assert_allclose(found["pcsk9"][:, 1], found["pcsk9"][:, 0], rtol=1e-6)
    known = individual("evolocumab-ldl")
    assert 24 * np.log(2) / known["KDEG"] == pytest.approx(8, abs=0.2)
    assert np.log(2) / known["KOUT"] == pytest.approx(2.3, abs=0.05)


def test_evolocumab_by_another_solver(course):
    """The rates of Gibbs 2017, equations 1 to 7, by LSODA; 420 mg once."""

    def rate(time, y):
        depot, drug, target, ldl = y
        total = drug / 2.66
        gap = total - target - 0.253
        free = 0.5 * (gap + np.sqrt(gap**2 + 4 * 0.253 * total))
        rest = target - (total - free)
        share = free / (0.253 + free)
        kin = 0.305 * (1 - 5.27 / (1.46 + 5.27)) * 116
        return [
            -0.245 * depot,
            0.245 * depot - 0.256 * free - 0.0529 * target * share * 2.66,
            2.12 * 5.27 - 2.12 * target - (0.0529 - 2.12) * share * target,
            kin - 0.305 * (1 - rest / (1.46 + rest)) * ldl,
        ]

    at = np.linspace(0, 56, 57)
    start = [0.72 * 420 * 1e6 / 141800, 0.0, 5.27, 116.0]
    how = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-10, "t_eval": at}
    wanted = solve_ivp(rate, (0, at[-1]), start, **how).y
    found = course("evolocumab-ldl", "420 mg", np.append(at[1:] * DAY, 60 * DAY))
    np.testing.assert_allclose(found["ldl"][0, :-1], wanted[3, 1:], rtol=1e-5)
    floor = 100 * (1.46 / (1.46 + 5.27) - 1)  # without any PCSK9
    assert floor < found["change"].min() < floor + 5


def test_darbepoetin_raises_haemoglobin_by_its_production(course):
    """9.92 g/dL; a concentration that never ends leaves 1 + its stimulation of it."""
    words = "2010000 ug over 1000 d into central"
    found = course("darbepoetin-haemoglobin", words, [0.0, 999 * DAY])
    conc = 2010000 / 1000 / 2.01
    assert found["conc"][0, 1] == pytest.approx(conc, rel=1e-6)
    wanted = 9.92 * np.array([1, 1 + 0.437 * conc / (3.68 + conc)])
    np.testing.assert_allclose(found["haemoglobin"][0], wanted, rtol=1e-5)


@pytest.mark.slow
def test_tocilizumab_and_the_other_drugs(course):
    """Disease activity in the end: with the other drugs alone, and at 20 mg/L.

    What an infusion must give to hold 20 mg/L is the sum of both eliminations.
    """
    rate = 0.3 * 20 + 7.5 * 20 / (2.7 + 20)
    words = f"{2000 * rate} mg over 2000 d"
    for dose, conc in ((None, 0.0), (words, 20.0)):
        found = course("tocilizumab-das28", dose, [0.0, 1999 * DAY])
        start, end = found["das28"][0]
        active = ((conc + 0.30) / 3.7) ** 0.64
        assert start == pytest.approx(6.8, rel=1e-3)
        assert end / start == pytest.approx(1 - 0.73 * active / (1 + active), rel=1e-3)
        assert found["conc"][0, 1] == pytest.approx(conc, rel=1e-5)


def test_dmards_worked_examples(course, individual):
    """Wojciechowski 2015: 5.7 before, 5.4 at 40 and 5.8 at 70 years, 2.9 in the end.

    A half-life of 6.2 weeks, 10.4 in smokers; 6.4 where a steroid is injected.
    """
    at = [0.0, 1000 * WEEK]
    found = course("dmards-das28", None, at, AGE=[57.0, 40.0, 70.0])["das28"]
    np.testing.assert_allclose(found[:, 0], [5.7, 5.4, 5.8], atol=0.06)
    assert found[0, 1] == pytest.approx(2.9, abs=0.1)
    assert course("dmards-das28", None, at, STEROID=1.0)["das28"][0, 0] == (
        pytest.approx(6.4, abs=0.05)
    )
    for smoker, weeks in ((0.0, 6.2), (1.0, 10.4)):
        known = individual("dmards-das28", SMOKER=smoker)
        assert np.log(2) / known["EX2"] == pytest.approx(weeks, abs=0.05)
    assert individual("dmards-das28", STEROIDS=1.0)["EX1"] == pytest.approx(
        -0.977, abs=5e-4
    )


def test_incretins_by_the_text(course):
    """Guo 2025: half of it in 12.0 weeks; 26.2 % less at 50 than at 40 years of age.

    45 mg of orforglipron reach 75.2 % of its greatest effect.
    """
    far = [1e6]
    found = course("incretin-weight", None, far, DRUG=2.0, DOSE=45.0)["effect"]
    assert found.item() / -14.7 == pytest.approx(0.752, abs=0.005)
    flat = {7.0: -4.25, 8.0: -5.36, 9.0: -6.05, 10.0: -12.9, 11.0: -7.75, 12.0: -13.5}
    found = course("incretin-weight", None, [12 * WEEK, *far], DRUG=[*flat])["effect"]
    np.testing.assert_allclose(found[:, 1], [*flat.values()], rtol=1e-9)
    np.testing.assert_allclose(found[:, 0] / found[:, 1], 0.5, atol=5e-4)
    ages = course("incretin-weight", None, far, AGE=[40.0, 50.0])["effect"][:, 0]
    assert ages[1] / ages[0] == pytest.approx(1 - 0.262, abs=5e-4)


def test_ovarian_cancer_survival(course, individual):
    """The hazard integrated by quadrature; 0.001183 per day is 0.036 per month."""
    rate = 0.000611 - 5 * 0.0000497 - 10 * 0.000164
    at = np.array([50.0, 200.0, 600.0])
    given = {"AUCG": 10.0, "ECOG1": 1.0, "NEWLESION": 1.0}
    found = course("carboplatin-ovarian", None, at * DAY, **given)
    np.testing.assert_allclose(found["size"][0], 71.3 * np.exp(rate * at), rtol=1e-6)

    def hazard(day):
        early = np.expm1(rate * min(day, 84.0))
        risk = 0.2084 * 71.3 / 70 + 0.9036 * early + 1.230 + 0.5162
        return 2.004 * 0.001183 * (0.001183 * day) ** 1.004 * np.exp(risk)

    total = [quad(hazard, 0, day, points=[min(84.0, day)])[0] for day in at]
    np.testing.assert_allclose(
        found["survival"][0], np.exp(-np.array(total)), rtol=1e-5
    )
    alive = (np.exp(-np.array(total)) > 0.5).astype(float)
    assert found["alive"][0].tolist() == alive.tolist()
    scale = individual("carboplatin-ovarian")["SCALE"]
    assert scale * 30.4375 == pytest.approx(0.036, abs=5e-5)


@pytest.mark.slow
def test_xenograft_grows_and_is_held(course):
    """Exponential, then 0.814 g/d; the concentration that holds it is 0.434 mg/L."""
    at = np.array([1.0, 5.0, 40.0, 41.0])
    found = course("paclitaxel-xenograft", None, at * DAY)["weight"][0]
    np.testing.assert_allclose(found[:2], 0.055 * np.exp(0.273 * at[:2]), rtol=1e-6)
    assert found[3] - found[2] == pytest.approx(0.814, rel=1e-3)
    held = 0.273 / 0.629
    for share, grows in ((0.9, True), (1.1, False)):
        dose = share * held * 0.813 * 0.022 * 20.832 * 100
        words = f"{dose} mg over 100 d into central"
        found = course("paclitaxel-xenograft", words, [60 * DAY, 90 * DAY])
        assert found["conc"][0, 1] == pytest.approx(share * held, rel=1e-3)
        assert (found["weight"][0, 1] > found["weight"][0, 0]) is np.bool_(grows)


def test_tumour_inhibition_as_nonmem_prints_it(course):
    """NONMEM 7.5.0, claret c001 of mrgsolve/nmtests, at 0.1 days and 10 mg."""
    found = course("tumour-inhibition", None, [0.0, 0.1 * DAY])["size"][0]
    assert found[0] == 70.0
    assert found[1] == pytest.approx(68.032, abs=5e-4)


def test_cd4_of_children(course, individual):
    """Majekodunmi 2017: -2.42 to -1.07 at 1.55 a year, 0.357 with hepatitis C."""
    at = [0.0, YEAR, 100 * YEAR]
    found = course("antiretrovirals-cd4", None, at)["z"][0]
    assert found[[0, 2]].tolist() == pytest.approx([-2.42, -1.07])
    assert found[1] == pytest.approx(-1.07 - 1.35 * np.exp(-1.55), rel=1e-9)
    assert individual("antiretrovirals-cd4", HCV=1.0)["K"] == pytest.approx(
        0.357, abs=6e-4
    )
