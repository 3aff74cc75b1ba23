"""Models of outcomes against what their papers say of them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import norm

DAY, WEEK = 24.0, 168.0


def test_motesanib_time_to_growth_and_week_8(course):
    """Typical values lie between the published medians of the two arms.

    The time to growth was 93 and 125 d, the size in week 8 by that before treatment
    0.77 and 0.69. As the supplement prints KDE and LAMBDA, they were 281 d and 0.47.
    """
    found = course("motesanib-survival", None, [56 * DAY])
    assert 93 < found["ttg"].item() < 125
    assert 0.69 < found["ratio"].item() < 0.77
    printed = {"tvKDE": 0.0193, "tvLAMBDA": 0.0103}
    found = course("motesanib-survival", None, [56 * DAY], **printed)
    assert found["ttg"].item() == pytest.approx(281, abs=0.5)
    assert found["ratio"].item() == pytest.approx(0.467, abs=0.001)


@pytest.mark.parametrize(("factor", "days"), [(1.160, 125), (0.626, 93)])
def test_motesanib_arms_and_survival(course, factor, days):
    """KDEARM brings about the arm's median; survival is the log-normal regression."""
    at = np.array([200.0, 450.0, 900.0])
    found = course("motesanib-survival", None, at * DAY, KDEARM=factor, ASIAN=1.0)
    assert found["ttg"][0, 0] == pytest.approx(days, rel=0.002)
    mean = (
        1.079 - 0.00197 * 90 + 0.97695 * np.log(found["ttg"][0] + 100) + 0.319 - 0.264
    )
    wanted = norm.sf((np.log(at) - mean) / np.exp(-0.24))
    np.testing.assert_allclose(found["survival"][0], wanted, rtol=1e-9)
    np.testing.assert_allclose(found["death"][0], np.exp(mean), rtol=1e-12)
    assert found["alive"][0].tolist() == [1.0, float(np.exp(mean[0]) > 450), 0.0]


def test_motesanib_median_survival_of_asians(individual):
    """Table 5: 450 d without motesanib, in Asians of whom not all smoked."""
    known = individual("motesanib-survival", ASIAN=1.0, SMOKER=0.0, KDEARM=0.626)
    assert known["DEATH"] > 450 > known["DEATH"] * np.exp(-0.264)


def test_paclitaxel_leukocytes_by_another_solver(course):
    """Counts instead of their logarithms, by LSODA; 200 mg/m2 in 3 h to 1.8 m2."""
    dose, hours = 360 * 1000 / 853.9, 3.0  # umol

    def rate(time, y, infusion):
        conc, ktr = y[0] / 290, 4 / 124
        flow = 204 * (y[0] / 290 - y[1] / 995)
        made = ktr * y[2] * (1 - 28.9 * conc) * (7.21 / y[6]) ** 0.239
        chain = [ktr * (a - b) for a, b in zip(y[2:6], y[3:7], strict=True)]
        return [
            infusion - 285 * conc - flow,
            flow,
            made - ktr * y[2],
            *chain,
        ]

    how = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-12}
    start = [0.0, 0.0, *[7.21] * 5]
    during = solve_ivp(rate, (0, hours), start, args=(dose / hours,), **how)
    at = np.linspace(4, 21 * DAY, 80)
    after = solve_ivp(
        rate, (hours, at[-1]), during.y[:, -1], args=(0.0,), t_eval=at, **how
    )
    found = course("paclitaxel-leukocytes", "360 mg over 3 h", at)
    np.testing.assert_allclose(found["leukocytes"][0], after.y[6], rtol=1e-5)
    nadir = at[found["leukocytes"][0].argmin()] / DAY
    assert 8 < nadir < 13


def test_tirzepatide_weight_before_treatment(individual):
    """Table 1: 118.5 kg in men, 98.0 kg in women; a half-life of 22.1 wk."""
    man = individual("tirzepatide-weight")
    woman = individual("tirzepatide-weight", FEMALE=1.0)
    assert man["FFM"] + man["FAT"] == pytest.approx(118.5, abs=0.05)
    assert woman["FFM"] + woman["FAT"] == pytest.approx(98.0, abs=0.05)
    assert np.log(2) / man["KOUT"] == pytest.approx(22.1, abs=0.05)


@pytest.mark.parametrize(
    ("target", "total", "lean", "fat"),
    [
        (0.0, -4.62, -2.34, -7.48),
        (5.0, -14.6, -7.68, -23.3),
        (10.0, -19.7, -11.4, -29.8),
        (15.0, -22.5, -13.9, -33.3),
    ],
)
def test_tirzepatide_weight_after_72_weeks(course, target, total, lean, fat):
    """Table 2, by typical women and men in the trial's shares.

    The paper's are means of subjects that differ; typical ones come within 2.5
    percentage points of weight and 4 of the masses.
    """
    dose = f"escalating 2.5 mg by 2.5 mg every 4 doses to {target:g} mg, every 7 d x 72"
    found = course(
        "tirzepatide-weight",
        dose if target else None,
        [0.0, 72 * WEEK],
        FEMALE=[0.0, 1.0],
    )
    share = np.array([0.325, 0.675])
    change = {k: found[k][:, 1] / found[k][:, 0] - 1 for k in ("weight", "lean", "fat")}
    mean = {name: 100 * float(share @ value) for name, value in change.items()}
    assert mean["weight"] == pytest.approx(total, abs=2.5)
    assert mean["lean"] == pytest.approx(lean, abs=4)
    assert mean["fat"] == pytest.approx(fat, abs=4)
    np.testing.assert_allclose(found["change"][:, 1], 100 * change["weight"])


def test_tirzepatide_half_life(rates):
    """The label says about 5 days."""
    matrix = rates("tirzepatide-weight", ["central", "peripheral"], FEMALE=1.0)
    slowest = -np.linalg.eigvals(matrix).real.max()
    assert np.log(2) / slowest / DAY == pytest.approx(5, abs=0.6)


def test_rifampicin_high_dose(course):
    """The area of a day at 35 mg/kg after two weeks: 235 mg.h/L, geometric mean.

    Svensson 2018, of adults who weigh about 54 kg: 1900 mg, 45 kg free of fat. Typical
    values are near a geometric mean; 10 % allow for that and for the weight.
    """
    at = np.array([0.0, 24.0, 312.0, 336.0])
    found = course("rifampicin-plasma", "1900 mg every 24 h x 14", at, DOSE=1900.0)
    area = found["auc"][0]
    assert area[3] - area[2] == pytest.approx(235, rel=0.1)
    assert area[1] > 1.3 * (area[3] - area[2]), "induction lowers it"
    assert 1.9 < found["enzyme"][0, 3] < 2.16


@pytest.mark.slow
def test_rifampicin_input_is_the_dose(course):
    """What the transit chain gives is the dose times its bioavailability."""
    still = {"tvVMAX": 1e-9, "tvV": 70.0, "FFM": 70.0}
    found = course("rifampicin-plasma", "900 mg", [23.9], DOSE=900.0, **still)
    wanted = 900 * (1 + 0.504 * 450 / (67 + 450)) / 70
    assert found["conc"].item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("transits", [1.0, 6.0])
def test_warfarin_median_inr(course, transits):
    """Table 1: the median INR of those who are stable is 2.28, on 29.4 mg a week.

    Typical subjects of the 18 genotypes in the cohort's shares; not everybody takes the
    median dose, so 10 % are allowed.
    """
    alleles = {11: 58.7, 12: 17.3, 13: 16.7, 22: 3.3, 23: 2.7, 33: 1.3}
    kind = {0: 39, 1: 41, 2: 20}
    people = [(c, v, a * b) for c, a in alleles.items() for v, b in kind.items()]
    cyp, vkor, weight = np.array(people, float).T
    words = "4.196 mg every 24 h x 180"
    at = [180 * DAY]
    found = course(
        "warfarin-inr", words, at, CYP2C9=cyp, VKORC1=vkor, TRANSITS=transits
    )["inr"][:, 0]
    order = found.argsort()
    passed = np.cumsum(weight[order]) / weight.sum()
    median = np.interp(0.5, passed - weight[order] / weight.sum() / 2, found[order])
    assert median == pytest.approx(2.28, rel=0.1)


def test_warfarin_steady_state_by_hand(course, individual):
    """Half of the dose is S-warfarin; the chains hold what is still produced."""
    known = individual("warfarin-inr", CYP2C9=23.0, VKORC1=2.0, AGE=81.0)
    assert known["CL"] == pytest.approx(0.314 * 0.31 * (1 - 0.091))
    conc = 2.0 / 2 / 24 / known["CL"]
    left = 1 / (1 + (conc / 2.20) ** 0.424)
    wanted = 1 + 20 * (1 - left**2) ** 3.61
    at = np.linspace(299 * DAY, 300 * DAY, 25)
    words = "2 mg every 24 h x 400"
    found = course("warfarin-inr", words, at, CYP2C9=23.0, VKORC1=2.0, AGE=81.0)
    assert found["conc"].mean() == pytest.approx(conc, rel=0.01)
    assert found["inr"].mean() == pytest.approx(wanted, rel=0.01)
