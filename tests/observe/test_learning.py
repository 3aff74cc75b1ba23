"""Rules that learn who a subject is and choose: held against a posterior on a grid."""

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.conduct.task import rows_of
from vtrial.errors import ProtocolError
from vtrial.observe.block_program import Trial
from vtrial.protocol.stored import read_protocol, write_protocol

MODEL = """
model: bolus
parameters:
  tvCL: {value: 4, unit: L/h}
  V: {value: 40, unit: L}
covariates:
  WT: {unit: kg, typical: 70}
random:
  - {of: CL, variance: 0.16}
equations: |
  CL = tvCL*(WT/70)^0.75*exp(eta.CL)
  d/dt(central) = -CL/V*central
  conc = central/V
outputs:
  conc: {unit: mg/L, error: {log: 0.2}}
"""
COHORT = """
cohort: folk
covariates:
  WT: {unit: kg, uniform: [50, 100]}
"""
DOSES = [250.0, 500.0, 750.0, 1000.0, 1500.0, 2000.0]
SHEET = """
protocol: learned
model: bolus
cohort: folk
subjects: 6
seed: 5
arms:
  a: {dose: "1000 mg every 12 h x 6"}
visits:
  early: {at: 11 h, measure: [conc]}
  late: {at: 23 h, measure: [conc]}
rules:
  twin:
    at: late
    learn: conc
    choose: "250, 500, 750, 1000, 1500, 2000 mg"
    so that: AUC24 in 400 to 600
    particles: 400
endpoints:
  level: {of: conc, take: value, at: 48 h, values: true}
keep: {trajectories: all, measurements: true}
"""


def trial_of(folder, change=lambda text: text, **changes):
    """Write the sheets, and return the trial."""
    (folder / "bolus.yaml").write_text(MODEL)
    (folder / "folk.yaml").write_text(COHORT)
    path = folder / "learned.yaml"
    path.write_text(change(SHEET))
    planned = vt.plan(vt.load_protocol(str(path), changes=changes))
    return Trial(planned.protocol, planned.cohort)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return rows_of(trial_of(tmp_path_factory.mktemp("learned")), 0)


def chances(weight, levels):
    """Return the probabilities of target and harm of every dose, by a grid of eta."""
    eta = np.linspace(-2.5, 2.5, 4001)
    rate = 4 * (weight / 70) ** 0.75 * np.exp(eta) / 40
    early = 25 * np.exp(-11 * rate)
    late = 25 * (np.exp(-23 * rate) + np.exp(-11 * rate))
    off = [np.log(y / f) for y, f in zip(levels, (early, late), strict=True)]
    density = np.exp(-0.5 * eta**2 / 0.16 - 0.5 * sum(d**2 for d in off) / 0.04)
    share = density / density.sum()
    decay = np.exp(-12 * rate)
    before = 25 * (decay + decay**2)  # mg/L, just before the first new dose
    target, harm = [], []
    for dose in DOSES:
        # The 24 h that end 48 h behind the first new dose: of the third and the fourth.
        start = before * decay**2 + dose / 40 * (decay + decay**2)
        first = start + dose / 40
        second = first * decay + dose / 40
        area = (first + second) * (1 - decay) / rate
        target.append(share[(area >= 400) & (area <= 600)].sum())
        harm.append(share[area > 600].sum())
    return np.array(target), np.array(harm)


def test_the_dose_is_that_of_the_posterior_on_a_grid(found):
    """400 draws: a probability's error is below 0.1 in all but one case of 10^4."""
    told = found["arms/a/decisions/learned"][:, 0]
    levels = found["arms/a/measurements/measured"][:, :, 0]
    for who in range(6):
        target, harm = chances(found["subjects/WT"][who], levels[who])
        dose, *seen = told[who][:3]
        place = DOSES.index(dose)
        np.testing.assert_allclose(seen, [target[place], harm[place]], atol=0.1)
        utility = target - harm
        assert utility[place] > utility.max() - 0.15
        assert told[who, -1] > 200
    given = found["arms/a/doses/amount"]
    assert (given[:, :2] == 1000).all()
    assert (given[:, 2:] == told[:, :1]).all()


def test_a_twin_outside_the_protocol_says_the_same(found, tmp_path):
    rows = []
    levels = found["arms/a/measurements/measured"][:, :, 0]
    for who in range(6):
        for time in (0, 12):
            rows.append((who + 1, time, 1000, 1, np.nan))
        for time, level in zip((11, 23), levels[who], strict=True):
            rows.append((who + 1, time, np.nan, 0, level))
    table = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID", "DV"])
    table["WT"] = found["subjects/WT"][table["ID"] - 1]
    table = table.sort_values(["ID", "TIME"], kind="stable")
    table.to_csv(tmp_path / "people.csv", index=False, na_rep=".")
    (tmp_path / "bolus.yaml").write_text(MODEL)
    model = vt.load_model(str(tmp_path / "bolus.yaml"))
    study = vt.fit.read_study(model, str(tmp_path / "people.csv"))
    known = vt.twin.posterior(model, study, draws=1000, seed=1)
    advice = vt.twin.advise(
        known,
        "AUC24 in 400 to 600",
        doses="250, 500, 750, 1000, 1500, 2000 mg",
        every="12 h",
        start=24.0,
    ).table
    told = found["arms/a/decisions/learned"][:, 0]
    for who in range(6):
        mine = advice[advice["ID"] == who + 1]
        row = mine[mine["DOSE"].str.startswith(f"{told[who, 0]:g} mg ")].iloc[0]
        np.testing.assert_allclose(told[who, 1], row["target"], atol=0.1)
        assert row["utility"] > mine["utility"].max() - 0.15


@pytest.mark.slow
def test_it_is_the_same_in_any_company_and_moves_nothing_else(found, tmp_path):
    parts = [rows_of(trial_of(tmp_path, block=3), place) for place in (0, 1)]
    for path in ("arms/a/decisions/learned", "arms/a/doses/amount"):
        both = np.concatenate([part[path] for part in parts])
        np.testing.assert_array_equal(both, found[path])

    def never(text):
        return text.replace("    learn: conc", "    when: conc < 0\n    learn: conc")

    def none(text):
        begin, end = text.index("rules:"), text.index("endpoints:")
        rule = "rules: {look: {when: conc < 0, do: stop}}\n"
        return text[:begin] + rule + text[end:]

    still, plain = (rows_of(trial_of(tmp_path, one), 0) for one in (never, none))
    for path in ("measurements/measured", "outcomes/outcome", "doses/amount"):
        np.testing.assert_array_equal(still[f"arms/a/{path}"], plain[f"arms/a/{path}"])
    assert np.isnan(still["arms/a/decisions/learned"]).all()


def test_a_record_can_tell_what_was_learned_by(tmp_path):
    protocol = trial_of(tmp_path).protocol
    assert read_protocol(write_protocol(protocol)).arms == protocol.arms


WRONG = {
    "learn: conc": ("learn: cond", "`cond`, an unknown measured output"),
    'choose: "250, 500, 750, 1000, 1500, 2000 mg"': (
        "do: hold",
        "rules.twin.learn is given, though the rule does not choose",
    ),
    "    learn: conc\n": ("    learn: conc\n    do: hold\n", "beside `choose`"),
    "so that: AUC24 in 400 to 600": ("harm: conc > 3", "rules.twin.so that is missing"),
    "AUC24 in 400": ("AUC96 in 400", "at 48 h"),
    "particles: 400": ("prefer: middle", "lowest"),
}


def test_what_is_wrong_is_told(tmp_path):
    for old, (new, told) in WRONG.items():
        assert old in SHEET
        text = SHEET.replace(old, new)
        with pytest.raises(ProtocolError, match="rules.twin") as error:
            trial_of(tmp_path, lambda _, made=text: made)
        assert told in str(error.value), str(error.value)


@pytest.mark.slow
def test_limits_bound_what_may_be_and_the_highest_may_be_preferred(tmp_path):
    """The highest dose that keeps a limit, and the lowest where none does."""

    def change(text):
        text = text.replace("AUC24 in 400 to 600", "P(peak(conc) > 40) <= 0.5")
        return text.replace("particles: 400", "prefer: highest")

    told = rows_of(trial_of(tmp_path, change), 0)["arms/a/decisions/learned"][:, 0]
    assert told.shape[1] == 6  # dose, target, harm, P(...), mean peak, effective
    np.testing.assert_allclose(told[:, 1], 1.0)
    np.testing.assert_array_equal(told[:, 2], 0.0)
    assert ((told[:, 3] <= 0.5) | (told[:, 0] == 250)).all()
    assert len(set(told[:, 0])) > 1
