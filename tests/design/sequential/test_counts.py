"""Sizes and power of trials of counts, against rpact and against sums.

Bounds as effects differ on purpose. At an early look of a size, rpact takes those who
have entered by then as if they were followed until the end of the trial, and of a power
all subjects; ours are at what is known at the look. What rpact means is checked where
it follows from whole subjects: not where arms are unequal, whose entered subjects it
splits into parts, and not where rates of entry step, where it has none for later looks.

Where it looks for the best ratio of arms at unequal exposures, it minimises a number of
whole subjects, which is flat: its ratio is taken as given, and not checked.
"""

import numpy as np
import pytest
from scipy.special import ndtr

from tests.design.sequential import rpact
from tests.design.sequential import rpact_calls as calls
from vtrial.design.sequential import (
    Counts,
    GroupSequential,
    Recruitment,
    boundaries,
    count_power,
    count_size,
    entry_times,
)
from vtrial.errors import ProtocolError

WT = calls.WT
NAMES = {  # what rpact's tests of counts call so
    "getSampleSizeCounts": {
        "designGS1": GroupSequential(
            (0.32, 0.57, 1), 0.025, 0.1, 1, WT, 0.25, "z", (-0.4, 0.1)
        ),
        "designGS2": GroupSequential((0.32, 0.57, 1), 0.025, 0.2, 2, WT, 0.1),
    },
    "getPowerCounts": {
        "designGS1": GroupSequential(
            (0.32, 0.57, 1), 0.025, 0.1, 1, WT, 0.25, "z", (-0.4, 0.1)
        ),
        "designGS2": GroupSequential((0.57, 1), 0.025, 0.2, 2, WT, 0.1),
    },
}
AT_ONCE = 1e-9  # a time of entry so short that nobody is seen in it
RATIOS = "allocationRatioPlanned"


def _trials(given, ratios):
    """Return counts of two arms, one for each effect."""
    second, effects = given.get("lambda2"), None
    if "theta" in given:
        effects = calls.numbers(given["theta"])
    firsts = calls.numbers(given["lambda1"]) if "lambda1" in given else None
    made = []
    for place in range(len(firsts or effects)):
        exposure = given.get("fixedExposureTime", np.inf)
        ratio = ratios[place] if len(ratios) > 1 else ratios[0]
        base = second
        if base is None:  # the rate of both arms together
            base = given["pooled"] * (1 + ratio) / (1 + ratio * effects[place])
        first = firsts[place] if firsts else base * effects[place]
        null, spread = given.get("thetaH0", 1), given.get("overdispersion", 0)
        made.append(Counts(first, base, spread, exposure, null, ratio or 1.0))
        if ratio == 0:
            best = made[-1].best_ratio
            made[-1] = Counts(first, base, spread, exposure, null, best)
    return made


def _found(call, given, trial, plan):
    """Return the size or power of a call."""
    known = "accrualTime" in given
    entry = calls.recruitment(given)[0] if known else Recruitment((1,), end=AT_ONCE)
    if given.get("maxNumberOfSubjects"):
        entry = entry.scaled(given["maxNumberOfSubjects"])
    follow_up = given.get("followUpTime", given.get("fixedExposureTime"))
    if call.startswith("getPower"):
        up = given.get("directionUpper", True)
        return count_power(trial, plan, entry, follow_up=follow_up, up=up)
    return count_size(trial, plan, entry, follow_up=follow_up)


def _ours(call, ratios=None):
    """Return rpact's fields of a call by our functions."""
    task = call.split("(")[0]
    given = calls.evaluate(call, NAMES[task])
    sized = task == "getSampleSizeCounts"
    fixed = GroupSequential((1.0,), given.get("alpha", 0.025), given.get("beta", 0.2))
    plan = given.get("design", fixed)
    trials = _trials(given, ratios or [float(given.get(RATIOS, 1))])
    made = [_found(call, given, trial, plan) for trial in trials]
    up = [t.up if sized else given.get("directionUpper", True) for t in trials]
    fields = {
        "directionUpper": up,
        "theta": [t.first / t.second for t in trials],
        "lambda1": [t.first for t in trials],
        "lambda2": [t.second for t in trials],
        RATIOS: [t.ratio for t in trials],
        "expectedStudyDurationH1": [m.mean_duration for m in made],
        "expectedNumberOfSubjectsH1": [m.mean_subjects for m in made],
    }
    for name in ("maxNumberOfSubjects", "nFixed"):
        fields[name] = [m.subjects for m in made]
        fields[name + "1"] = [m.first for m in made]
        fields[name + "2"] = [m.second for m in made]
    fields |= _of_looks(made, plan) | _of_bounds(trials, made, plan, up, sized)
    return fields | (_of_sizes(made) if sized else _of_powers(made))


def _of_looks(made, plan):
    bounds = boundaries(plan)
    fields = {}
    for k in range(plan.looks):
        at = f"[{k + 1},]"
        fields["calendarTime" + at] = [m.times[k] for m in made]
        fields["numberOfSubjects" + at] = [m.entered[k] for m in made]
        fields["informationOverStages" + at] = [m.information.looks[k] for m in made]
        levels = bounds.stage_levels
        fields["criticalValuesPValueScale" + at] = [levels[k] * plan.sides]
        fields["futilityBoundsPValueScale" + at] = [ndtr(-bounds.lower[k])]
    return fields


def _of_bounds(trials, made, plan, up, sized):
    """Return effects at bounds with those entered by a look followed to the end."""
    bounds = boundaries(plan)

    def effects(z, k, sign):
        found = []
        for trial, m, above in zip(trials, made, up, strict=True):
            by = m.times[k] + 1e-12 if sized else np.inf
            seen = tuple(arm[arm <= by] for arm in m.entries)
            found.append(
                trial.effect_at(
                    float(sign * z if above or plan.sides == 2 else -z),
                    lambda x, t=trial, seen=seen, end=m.duration: t.information(
                        seen, end, effect=x
                    ),
                )
            )
        return found

    fields = {}
    for k in range(plan.looks):
        at = f"[{k + 1},]"
        fields["criticalValuesEffectScale" + at] = effects(bounds.upper[k], k, 1)
        fields["criticalValuesEffectScaleUpper" + at] = effects(bounds.upper[k], k, 1)
        fields["criticalValuesEffectScaleLower" + at] = effects(bounds.upper[k], k, -1)
        fields["futilityBoundsEffectScale" + at] = effects(bounds.lower[k], k, 1)
    return fields


def _of_sizes(made):
    found = [m.information for m in made]
    rejection = np.array([f.characteristics.rejection for f in found])
    futility = np.array([f.characteristics.futility for f in found])[:, :-1]
    early = rejection[:, :-1].sum(axis=1) + futility.sum(axis=1)
    fields = {
        "maxInformation": [f.total for f in found],
        "expectedInformationH0": [f.mean_h0 for f in found],
        "expectedInformationH01": [f.mean_h01 for f in found],
        "expectedInformationH1": [f.mean_h1 for f in found],
        "earlyStop": early,
        "futilityStop": futility.sum(axis=1),
    }
    return fields | _stops(rejection, futility)


def _of_powers(made):
    found = [m.information for m in made]
    rejection = np.array([f.rejection for f in found])
    futility = np.array([f.futility for f in found])[:, :-1]
    fields = {
        "overallReject": [f.overall for f in found],
        "earlyStop": [f.early for f in found],
        "futilityStop": futility.sum(axis=1),
    }
    return fields | _stops(rejection, futility)


def _stops(rejection, futility):
    fields = {f"rejectPerStage[{k + 1},]": p for k, p in enumerate(rejection.T)}
    stops = {f"futilityPerStage[{k + 1},]": p for k, p in enumerate(futility.T)}
    return fields | stops


def _left(row):
    """Whether a row is an effect at a bound that whole subjects do not explain."""
    by_parts = ("Planned = 4", "Planned = 0", "accrualIntensity = c(5")
    return "EffectScale" in row["field"] and any(x in row["call"] for x in by_parts)


def _check(rows):
    ratios = {
        r["call"]: rpact.values(r["expected"]) for r in rows if r["field"] == RATIOS
    }
    made, worst, left = {}, [], 0
    for row in rows:
        call, field = row["call"], row["field"]
        if call not in made:
            taken = call in ratios and "followUpTime" in call
            made[call] = _ours(call, list(ratios[call]) if taken else None)
        if _left(row) or (field == RATIOS and "followUpTime" in call):
            left += 1
            continue
        expected = rpact.values(row["expected"])
        found = np.ravel(np.asarray(made[call][field], float))
        found = found[:1] if len(expected) == 1 else found
        assert found.shape == expected.shape, (row, found)
        off = np.abs(found - expected) / np.maximum(np.abs(expected), 1e-2)
        worst.append((float(np.max(off)), field, call))
    worst.sort(reverse=True)
    assert worst[0][0] < 1e-6, worst[:10]
    return len(worst), left


def test_counts_of_rpact_in_part():
    rows = rpact.table("counts.csv.gz")
    some = sorted({row["call"] for row in rows})[::5]
    checked, _ = _check([row for row in rows if row["call"] in some])
    assert checked > 100


@pytest.mark.slow
def test_counts_of_rpact():
    assert _check(rpact.table("counts.csv.gz")) == (717, 61)


def test_information_at_equal_exposure_is_the_closed_form():
    trial = Counts(0.7, 1.2, overdispersion=0.4, exposure=1.5, ratio=2)
    entries = (np.zeros(20), np.zeros(10))
    one, two = 1 / (0.7 * 1.5) + 0.4, 1 / (1.2 * 1.5) + 0.4
    expected = 1 / (one / 20 + two / 10)
    assert trial.information(entries, 1.5) == pytest.approx(expected, rel=1e-14)
    assert trial.information(entries, 9.0) == pytest.approx(expected, rel=1e-14)
    assert trial.per_subject * 10 == pytest.approx(expected, rel=1e-14)
    assert trial.best_ratio == pytest.approx(np.sqrt(one / two), rel=1e-14)


def test_effects_at_bounds_are_on_them():
    trial = Counts(0.7, 1.0, overdispersion=0.4, exposure=1)
    plan = GroupSequential((0.5, 1.0), 0.025, 0.1)
    found = count_size(trial, plan, Recruitment((1,), end=6), follow_up=1)
    for time, effect, z in zip(
        found.times, found.upper_effect, boundaries(plan).upper, strict=True
    ):
        known = trial.information(found.entries, float(time), effect=float(effect))
        assert np.log(effect) * np.sqrt(known) == pytest.approx(-z, abs=1e-10)
    assert np.isnan(found.lower_effect).all()


def test_power_of_the_size_is_what_was_asked():
    trial = Counts(0.7, 1.0, overdispersion=0.4)
    plan = GroupSequential((0.5, 1.0), 0.025, 0.1)
    entry = Recruitment((1,), end=6)
    found = count_size(trial, plan, entry, follow_up=1)
    reached = count_power(
        trial, plan, entry.scaled(found.subjects), follow_up=1, up=False
    )
    assert 0.9 <= reached.information.overall < 0.902


def test_simulated_counts_have_the_power():
    generator = np.random.default_rng(20240101)
    trial = Counts(0.6, 1.0, overdispersion=0.5, exposure=1)
    plan = GroupSequential((1.0,), 0.025, 0.2)
    found = count_size(trial, plan, Recruitment((1,), end=2), follow_up=1)
    replicates = 4000
    means = []
    for rate, arm in ((0.6, found.first), (1.0, found.second)):
        frailty = generator.gamma(2.0, 0.5, (replicates, arm))
        means.append(generator.poisson(rate * frailty).mean(axis=1))
    ours = np.log(means[0] / means[1]) * np.sqrt(found.information.total)
    reached = (ours < -1.959964).mean()
    assert reached == pytest.approx(0.8, abs=0.02)


def test_entries_step_with_the_recruitment():
    made = entry_times(Recruitment((5, 10), (0, 10), 20), 75)
    assert len(made) == 75
    assert made[0] == 0
    assert made[25] == pytest.approx(10.1)
    assert made[-1] == 20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Counts(0.0, 1.0), "above 0"),
        (lambda: Counts(0.5, 1.0, -1.0), "0 or above"),
        (lambda: Counts(0.5, 1.0).best_ratio, "the same for all"),
        (
            lambda: count_size(
                Counts(0.9, 1.0, 2.0), GroupSequential((1.0,)), Recruitment((1,), end=9)
            ),
            "at most",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ProtocolError, match=words):
        make()
