"""A block depends on who its subjects are, and on nothing else."""

import numpy as np
import pytest

import vtrial as vt
from vtrial import program_cache
from vtrial.conduct.allocated import arms_of
from vtrial.conduct.task import rows_of
from vtrial.observe import block_program
from vtrial.observe.block import failures
from vtrial.observe.block_program import Trial

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


DONE = {}


def trial_of(protocol):
    planned = vt.plan(protocol)
    return Trial(planned.protocol, planned.cohort)


def rows(protocol):
    """Simulate every block and join the rows; what a block leaves one row of, too."""
    planned = vt.plan(protocol)
    name = (planned.digest, planned.subjects)
    if name not in DONE:
        trial = trial_of(protocol)
        blocks = [rows_of(trial, block) for block in range(trial.protocol.blocks)]
        paths = blocks[0]
        DONE[name] = {p: np.concatenate([b[p] for b in blocks]) for p in paths}
    return DONE[name]


def allocated(protocol):
    """Return everybody's arm and sex without simulating anything."""
    trial = trial_of(protocol)
    who = [trial.identity(block) for block in range(trial.protocol.blocks)]
    arms = np.concatenate([arms_of(trial, some) for some in who])
    replicate = np.concatenate([some.replicate for some in who])
    sex = [
        np.asarray(trial.people(some).covariates["FEMALE"])[: some.number.size]
        for some in who
    ]
    return replicate, np.concatenate(sex), arms


def test_everybody_is_there_once(sheets):
    found = rows(sheets.load())
    np.testing.assert_array_equal(found["subjects/replicate"], np.repeat(range(4), 30))
    np.testing.assert_array_equal(found["subjects/number"], np.tile(range(30), 4))
    assert (found["subjects/WT"] > 50).all()
    assert (found["subjects/screened"] > 1).any()
    for index, arm in enumerate(("low", "high")):
        own = found["subjects/arm"] == index
        np.testing.assert_array_equal(found[f"arms/{arm}/status"], np.where(own, 0, -1))
        outcome = found[f"arms/{arm}/outcomes/outcome"]
        assert np.isfinite(outcome[own]).all()
        assert np.isnan(outcome[~own]).all()
        times = found[f"arms/{arm}/trajectories/count"][:, 0, 0]
        assert times.sum() == own.sum()


@pytest.mark.slow
def test_another_block_size_draws_the_same(sheets):
    small, large = (rows(sheets.load(block=block)) for block in (7, 120))
    for path, values in small.items():
        if "trajectories" in path:
            continue
        kind = np.testing.assert_array_equal
        if path.startswith("arms") and values.dtype.kind == "f":
            np.testing.assert_allclose(values, large[path], err_msg=path, **CLOSE)
        else:
            kind(values, large[path], err_msg=path)


def test_every_arm_has_the_same_random_numbers(sheets):
    sheets.change("small", "2 mg/kg every 24 h x 2", "50 mg every 24 h x 2")
    sheets.change("small", "block: 25", "block: 25\npotential: all")
    found = rows(sheets.load())
    for path in found:
        if path.startswith("arms/low"):
            other = found[path.replace("arms/low", "arms/high")]
            np.testing.assert_array_equal(found[path], other, err_msg=path)
    assert (found["arms/low/status"] == 0).all()


def test_all_arms_agree_with_the_allocated_one(sheets):
    own = rows(sheets.load())
    sheets.change("small", "block: 25", "block: 25\npotential: all")
    every = rows(sheets.load())
    path = "arms/high/outcomes/outcome"
    here = own["arms/high/status"] == 0
    np.testing.assert_allclose(own[path][here], every[path][here], **CLOSE)
    np.testing.assert_array_equal(own["subjects/arm"], every["subjects/arm"])


def test_a_visit_or_an_output_more_changes_no_other_number(sheets):
    before = rows(sheets.load())
    sheets.change(
        "small",
        "measure: [conc]}",
        'measure: [effect, conc]}\n  late: {at: "50 h, 72 h", measure: [conc, effect]}',
    )
    after = rows(sheets.load())
    path = "arms/low/measurements/measured"
    np.testing.assert_allclose(after[path][:, :4, 0], before[path][:, :, 0], **CLOSE)
    assert np.isnan(before[path][:, :, 1]).all()
    own = before["subjects/arm"] == 0
    assert np.isfinite(after[path][own]).all()
    np.testing.assert_array_equal(before["subjects/WT"], after["subjects/WT"])


def test_residual_error_moves_no_random_effect(sheets):
    sheets.change("small", "measurements: true", "individual: [CL, eta.CL]")
    noisy = rows(sheets.load())
    sheets.change("body", "proportional: 0.15", "proportional: 0")
    exact = rows(sheets.load())
    for name in ("CL", "eta.CL", "WT"):
        path = f"subjects/{name}"
        np.testing.assert_array_equal(noisy[path], exact[path])
    sketch = "arms/low/trajectories/sketch"
    np.testing.assert_allclose(noisy[sketch], exact[sketch], **CLOSE)


@pytest.mark.slow
def test_parameters_are_one_draw_a_replicate(sheets):
    sheets.change("small", "measurements: true", "individual: [tvCL]")
    drawn = rows(sheets.load())["subjects/tvCL"].reshape(4, 30)
    assert (drawn == drawn[:, :1]).all()
    assert len(set(drawn[:, 0])) == 4
    sheets.change("small", "seed: 11", "seed: 11\nuncertainty: false")
    assert (rows(sheets.load())["subjects/tvCL"] == 5).all()


@pytest.mark.slow
def test_visits_are_moved_within_their_window(sheets):
    sheets.change("small", "measure: [conc]", "window: 30 min, measure: [conc]")
    found = rows(sheets.load())
    moved = found["arms/low/measurements/taken"] - np.array([25, 28, 36, 48])
    moved = moved[found["subjects/arm"] == 0]
    assert np.abs(moved).max() <= 0.5
    assert moved.min() < -0.4
    assert moved.max() > 0.4
    assert np.isfinite(found["arms/low/outcomes/outcome"][:, 0]).sum() == len(moved)


@pytest.mark.slow
def test_measured_values_follow_their_error(sheets):
    sheets.change("small", "subjects: 30", "subjects: 600")
    sheets.change("small", "block: 25", "block: 600")
    sheets.change("small", "trajectories: quantiles", "trajectories: all")
    found = rows(sheets.load(replicates=1))
    own = found["subjects/arm"] == 0
    protocol = sheets.load()
    places = [protocol.grid.index(t) for t in (25.0, 28.0, 36.0, 48.0)]
    true = found["arms/low/trajectories/value"][own][:, 0, places]
    error = found["arms/low/measurements/measured"][own][:, :, 0] / true - 1
    # 1200 draws: standard errors 0.0043 and 0.0031; four of them, 1 false alarm in 8000
    assert abs(error.mean()) < 0.0175
    assert abs(error.std() - 0.15) < 0.0125
    correlation = np.corrcoef(error.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 0.26


def test_only_the_first_trajectories_are_kept(sheets):
    sheets.change("small", "trajectories: quantiles", "trajectories: first 40")
    values = rows(sheets.load())["arms/low/trajectories/value"]
    kept = np.isfinite(values).all(axis=(1, 2))
    assert 10 < kept[:40].sum() < 40
    assert not kept[40:].any()


@pytest.mark.slow
def test_a_failed_subject_is_data(sheets):
    sheets.change("body", "CL = tvCL", "CL = if(WT > 100, 0/0, 1) * tvCL")
    found = rows(sheets.load())
    heavy = found["subjects/WT"] > 100
    own = found["subjects/arm"] == 0
    assert (heavy & own).any()
    np.testing.assert_array_equal(found["arms/low/status"] > 0, heavy & own)
    outcome = found["arms/low/outcomes/outcome"]
    assert np.isnan(outcome[heavy]).all()
    assert np.isfinite(outcome[own & ~heavy]).all()
    assert failures(found) == heavy.sum()


@pytest.mark.parametrize(
    "randomisation",
    ["simple", "{permuted block: 4}", "{permuted block: 4, stratified: [FEMALE]}"],
)
def test_allocation_does_not_depend_on_blocks(sheets, randomisation):
    sheets.change(
        "small", "block: 25", f"block: 25\ndesign: {{randomisation: {randomisation}}}"
    )
    arms = [allocated(sheets.load(block=b))[2] for b in (11, 25, 200)]
    np.testing.assert_array_equal(arms[0], arms[1])
    np.testing.assert_array_equal(arms[0], arms[2])
    assert 0.3 < arms[0].mean() < 0.7


def test_stratified_allocation_balances_each_stratum(sheets):
    randomisation = "{permuted block: 4, stratified: [FEMALE]}"
    sheets.change(
        "small", "block: 25", f"block: 25\ndesign: {{randomisation: {randomisation}}}"
    )
    replicate, sex, arms = allocated(sheets.load())
    for trial in range(4):
        for kind in (0, 1):
            here = arms[(sex == kind) & (replicate == trial)]
            given = np.bincount(here, minlength=2)
            assert abs(given[0] - given[1]) <= 2


def test_an_arm_that_nobody_got_is_empty(sheets):
    sheets.change(
        "small", "block: 25", "block: 25\ndesign: {allocation: {low: 99, high: 1}}"
    )
    found = rows(sheets.load(replicates=1, subjects=2, block=1))
    assert (found["arms/high/status"] == -1).all()
    assert (found["arms/high/trajectories/count"] == 0).all()


def test_an_arm_sets_values(sheets):
    sheets.change(
        "small", '"50 mg every 24 h x 2"', '"50 mg", set: {tvCL: "tvCL / 1e9"}'
    )
    found = rows(sheets.load())
    own = found["subjects/arm"] == 0
    measured = found["arms/low/measurements/measured"][own][:, -1, 0]
    volume = 50 * found["subjects/WT"][own] / 70
    # nothing is eliminated: 50 mg in V exp(eta.V), with 15 % error
    spread = np.log(measured * volume / 50).std()
    assert abs(spread - np.hypot(0.25, 0.15)) < 0.1


def test_arms_and_blocks_of_other_sizes_compile_nothing_more(sheets):
    """Of 30 subjects in blocks of 25, one block has 25, 12 or 13 an arm, one has 5."""
    trial = trial_of(sheets.load(replicates=1))
    programs = block_program._prepare, block_program._reduce
    program_cache.forget()
    trial.reduction_ready()
    rows_of(trial, 0)
    before = [set(one.stored._programs) for one in programs]
    assert [len(some) for some in before] == [2, 1], "mg and mg/kg; one reduction"
    rows_of(trial, 1)
    assert [set(one.stored._programs) for one in programs] == before


def test_what_fills_a_shape_is_not_solved(sheets):
    trial = trial_of(sheets.load())
    (arm, *_), people = trial.protocol.arms, trial.people(trial.identity(0))
    few, many = (
        trial.observe(arm, people, np.arange(count))
        for count in (5, trial.protocol.size(0))
    )
    for name in ("status", "outcome", "measured"):
        one, two = (np.asarray(getattr(seen, name)) for seen in (few, many))
        assert np.array_equal(one[:5], two[:5], equal_nan=True)
    assert np.isnan(np.asarray(few.outcome)[5:]).all()


def test_random_effects_may_be_off(sheets):
    """Who weighs the same under the same dose then shows the same true values."""
    sheets.change("small", "block: 25", "block: 25\nrandom effects: off")
    sheets.change("small", "quantiles", "all")
    sheets.change("folk", "lognormal: {median: 75, cv: 0.2}", "uniform: [74, 75]")
    sheets.change("folk", ", within: [40, 150]", "")
    sheets.change("body", ", rse: 8 %", "")
    values = rows(sheets.load())["arms/high/trajectories/value"][:, 0]
    known = values[np.isfinite(values).all(axis=1)]
    assert len(known) > 10
    spread = known.std(axis=0) / np.maximum(known.mean(axis=0), 1e-9)
    assert spread.max() < 0.02  # of weights from 74 to 75 kg, and dose by weight


def test_arms_have_the_numbers_that_the_sheet_gives_them(sheets):
    sheets.change("small", "subjects: 30", "subjects: {low: 10, high: 20}")
    sheets.change("small", "block: 25", "block: 30")
    for size, numbers in ((30, [10, 20]), (15, [5, 10])):
        protocol = sheets.load(**({} if size == 30 else {"subjects": size}))
        assert protocol.subjects == size
        arm = rows(protocol)["subjects/arm"]
        assert np.bincount(arm[:size]).tolist() == numbers
