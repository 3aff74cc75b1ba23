"""SAS's PROC MIXED, run by run.

SAS stops when another step would gain less than 1e-8 of minus twice the log likelihood
(its criterion); vtrial goes on to the maximum. What is left between the two, the gap,
says how far SAS's covariance parameters are from the maximum, and with that how far any
of its numbers may be: of a variance with f degrees of freedom, the root of 2 gap / f at
most. Limits below are made of the gap; where SAS's own path is followed to where it
stopped, all its digits come out (`test_on_sas_path_all_digits_agree`).

The excerpt in `mmrm/` has every run that can be repeated; listings, predictions and
tests of effects are read from the folder that `VTRIAL_REFERENCE` names.
"""

import functools
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from vtrial.analysis.prediction import predict
from vtrial.measure.covariance import structure_of
from vtrial.measure.degrees_of_freedom import contrast, covariance_by, joint_test
from vtrial.measure.likelihood import MixedModel, Sums, estimate, products, slopes
from vtrial.measure.mixed import design_inverse, effects, fit_mixed
from vtrial.measure.mmrm_design import lay_out
from vtrial.testing import reference_folder

HERE = Path(__file__).parent / "mmrm"
RUNS = pd.read_csv(HERE / "sas_runs.csv")
DATA = pd.read_csv(HERE / "fev_data.csv")
FOLDER = reference_folder("trial_stats/mmrm_sas")
CONTRASTS = RUNS[RUNS["estimate"].notna()]
CRITERION = 1e-8  # SAS's
LISTING = (
    {r["case"]: r for r in json.loads((FOLDER / "sas_mixed_open.json").read_text())}
    if FOLDER
    else {}
)
needs_listing = pytest.mark.skipif(
    FOLDER is None, reason="no reference cases: set VTRIAL_REFERENCE to their folder"
)
LEVELS = {
    "ARMCD": ("PBO", "TRT"),
    "AVISIT": ("VIS1", "VIS2", "VIS3", "VIS4"),
    "RACE": ("Asian", "Black or African American", "White"),
    "SEX": ("Male", "Female"),
}
FACTORS = {
    "1": (),
    "arm": ("ARMCD",),
    "arm + sex": ("ARMCD", "SEX"),
    "full": ("RACE", "SEX", "ARMCD", "AVISIT"),
}


def wide(column):
    """Lay a column out by trial, subject and visit."""
    return np.asarray(column, float).reshape(1, 200, 4)


VALUE, BASELINE = wide(DATA["FEV1"]), wide(DATA["FEV1_BL"])
ARM = wide(DATA["ARMCD"] == "TRT")
FEMALE = wide(DATA["SEX"] == "Female")


def columns_of(model, reference=None):
    """Return a model's columns by SAS's names, without those of reference levels."""
    reference = {name: known[0] for name, known in LEVELS.items()} | (reference or {})
    columns = {"Intercept": np.ones_like(VALUE)}
    for factor in FACTORS[model]:
        for level in LEVELS[factor]:
            if level != reference[factor]:
                columns[f"{factor}|{level}"] = wide(DATA[factor] == level)
    if model == "full":
        visits = [name for name in columns if name.startswith("AVISIT|")]
        for name in visits:
            visit = name.split("|")[1]
            columns[f"AVISIT*ARMCD|{visit}|TRT"] = columns[name] * ARM
    return columns


@functools.cache
def panel_of(model, weight, group, spatial, plane, visit="VIS1"):
    design = np.stack(list(columns_of(model, {"AVISIT": visit}).values()), axis=3)
    number = wide(DATA["AVISIT"].str[3].astype(int))
    coordinate = np.stack([number, wide(DATA["VISITN2"])], axis=3)
    return lay_out(
        VALUE,
        design,
        weight=wide(DATA["WEIGHT"]) if weight else None,
        group=ARM[:, :, 0].astype(int) if group else None,
        coordinate=coordinate[..., : 1 + plane] if spatial else None,
    )


@functools.cache
def fit_of(case, visit="VIS1"):
    run = RUNS.set_index("case").loc[case]
    spatial = run["covariance"].startswith("sp")
    plane = bool(run["plane"])
    about = (run["model"], bool(run["weight"]), bool(run["group"]), spatial, plane)
    panel = panel_of(*about, visit=visit)
    return fit_mixed(panel, run["covariance"], restricted=run["method"] == "REML")


def gap_of(case):
    """Return how far SAS stopped from the maximum, rounding included."""
    stopped = RUNS.set_index("case").loc[case, "minus_two_log"]
    return max(stopped - fit_of(case).minus_two_log[0], 0) + 1e-8


def thinned(cases):
    """Mark all but a run of a few structures as slow: each compiles its own program."""
    known = RUNS.set_index("case")["covariance"]
    first = {known[case]: case for case in reversed(list(cases))}
    few = [first[name] for name in ("un", "csh", "ar1", "toeph") if name in first]
    slow = pytest.mark.slow
    return [pytest.param(c, marks=() if c in few else slow) for c in cases]


@pytest.mark.parametrize("case", thinned(RUNS["case"]))
def test_likelihood(case, cell):
    run = RUNS.set_index("case").loc[case]
    fit = fit_of(case)
    assert fit.converged[0]
    gap = run["minus_two_log"] - fit.minus_two_log[0]
    size = run["minus_two_log"]
    cell("MMRM against SAS", run["covariance"], "-2 log L", abs(gap) / size)
    # SAS cannot be lower, but for the eight decimals that it prints; and stops early.
    assert -1e-8 < gap < CRITERION * size


@pytest.mark.parametrize("case", thinned(CONTRASTS["case"]))
def test_contrast(case, cell):
    run = RUNS.set_index("case").loc[case]
    fit, rows = fit_of(case), np.array([[0.0, 1.0]])
    made = contrast(fit, rows, by=run["by"], error=run["error"])
    found = [field[0, 0] for field in made]
    expected = run[["estimate", "se", "df", "t", "p"]].astype(float).to_numpy()
    about = f"{run['by']}, {run['error']}"
    for name, one, other in zip(made._fields, found, expected, strict=True):
        error = abs(one / other - 1)
        cell(f"MMRM against SAS: {about}", run["covariance"], name, error)
    gap = gap_of(case)
    plain = contrast(fit, rows, by="satterthwaite")
    linear = contrast(fit, rows, by="kenward-roger linear")
    far = np.sqrt(gap / (2 * plain.freedom[0, 0]))
    moved = np.sqrt(gap * (linear.error[0, 0] ** 2 - plain.error[0, 0] ** 2) / 2)
    assert abs(found[0] - expected[0]) < 4 * moved
    assert abs(found[1] / expected[1] - 1) < far
    assert abs(found[2] / expected[2] - 1) < 4 * far
    shift = 4 * moved / expected[1] + abs(expected[3]) * far
    assert abs(found[3] - expected[3]) < shift
    # A normal density falls by t dt about t, and p has little else in it.
    assert abs(found[4] / expected[4] - 1) < 2 * (abs(expected[3]) + 1) * shift


@pytest.mark.slow
def test_on_sas_path_all_digits_agree():
    """Follow SAS from its start (MIVQUE0) by Newton's steps to where it stopped."""
    run = RUNS.set_index("case").loc["Robust_empirical_us"]
    panel = panel_of("arm", False, False, False, False)
    place = jnp.asarray(mivque(panel))
    model = MixedModel(structure_of("un"), 1, restricted=True, free=False)
    sums = sums_of(panel, fit_of("Robust_empirical_us"))
    for _ in range(20):
        at = slopes(place, sums, model)
        step = jnp.linalg.solve(at.hessian, at.gradient)
        if at.gradient @ step < CRITERION * abs(at.value):
            break
        place = place - step
    assert abs(at.value - run["minus_two_log"]) < 6e-9
    made = estimate(place, 2 * jnp.linalg.inv(at.hessian), sums, model)
    arrays = {name: np.asarray(array)[None] for name, array in made._asdict().items()}
    arrays["effect"] = arrays["effect"] + panel.first
    there = fit_of("Robust_empirical_us")._replace(**arrays)
    tested = contrast(
        there, np.array([[0.0, 1.0]]), by="between-within", error="empirical"
    )
    expected = run[["estimate", "se", "df", "t", "p"]].astype(float).to_numpy()
    found = [field[0, 0] for field in tested]
    np.testing.assert_allclose(found[:4], expected[:4], rtol=1e-11)
    # SAS's tail of Student's distribution is good to nine digits.
    np.testing.assert_allclose(found[4], expected[4], rtol=1e-8)


def mivque(panel):
    """Return Rao's minimum variance quadratic estimates of an unstructured matrix."""
    seen = panel.seen[0]
    subject, visit = np.nonzero(seen)
    design, value = panel.columns[0][seen], VALUE[0][seen]
    rest = np.eye(len(value)) - design @ design.T
    same = subject[:, None] == subject[None, :]
    parts = []
    for row, column in zip(*np.tril_indices(4), strict=True):
        there = (visit[:, None] == row) & (visit[None, :] == column)
        parts.append(rest @ (same & (there | there.T)).astype(float))
    left = [[np.sum(a * b.T) for b in parts] for a in parts]
    right = [value @ a @ rest @ value for a in parts]
    return np.linalg.solve(left, right)


def sums_of(panel, fit):
    """Return the sums of a panel's only trial."""
    both = jnp.concatenate([panel.columns[0], panel.value[0][:, :, None]], axis=2)
    kinds = panel.mask.shape[1]
    number = panel.seen.sum() - panel.rank[0]
    diagonal = np.diag(panel.basis.triangle[0])
    return Sums(
        product=products(both, jnp.asarray(panel.kind[0]), kinds),
        subjects=jnp.asarray(np.bincount(panel.kind[0], minlength=kinds) * 1.0),
        mask=jnp.asarray(panel.mask[0]),
        group=jnp.asarray(panel.group[0]),
        distance=jnp.asarray(panel.distance[0]),
        kept=jnp.asarray(panel.basis.kept[0]),
        constant=jnp.asarray(number * np.log(2 * np.pi) + 2 * np.log(diagonal).sum()),
    )


def listed_effects(run):
    """Read a listing's fixed effects; in some the columns stand one to the left."""
    for row in run.get("fixed_effects", []):
        if row["effect"].count("|") > 2 and "." in row["effect"]:
            *name, value, error, freedom = row["effect"].split("|")
            if freedom != ".":
                yield "|".join(name), value, error, freedom
        elif row["df"] is not None:
            yield row["effect"], row["estimate"], row["se"], row["df"]


def half_digit(number):
    """Return half of a printed number's last digit."""
    text = str(float(number))
    return 0.5 * 10.0 ** -len(text.split(".")[1]) if "e" not in text else 1e-6


LISTED = [case for case in RUNS["case"] if LISTING.get(case, {}).get("fixed_effects")]


@needs_listing
@pytest.mark.parametrize("case", thinned(LISTED))
def test_listed_effects(case):
    run, listing = RUNS.set_index("case").loc[case], LISTING[case]
    reference = dict(listing["reference_levels"])
    if case == "SAS_sas_sp_gau_kr":
        reference = {"ARMCD": "TRT"}
    names = list(columns_of(run["model"], reference))
    fit = fit_in(run, case, reference)
    made = contrast(fit, np.eye(len(names)), by=run["by"], error=run["error"])
    far = np.sqrt(gap_of(case) / (2 * made.freedom[0]))
    count = 0
    for name, value, error, freedom in listed_effects(listing):
        at = names.index(name)
        count += 1
        printed = half_digit(value) * 1.02
        # How the gap moves an estimate is bounded in `test_contrast`; here it must
        # stay within a hundredth of the standard error, and of the printed digits.
        assert abs(made.estimate[0, at] - float(value)) < printed + 1e-2 * float(error)
        off = abs(made.error[0, at] - float(error))
        assert off < half_digit(error) * 1.02 + far[at] * float(error)
        if run["by"] == "satterthwaite" and run["weight"]:
            continue  # see test_sas_leaves_weights_out_of_degrees_of_freedom
        tolerance = 0.51 + 4 * far[at] * float(freedom)
        assert abs(made.freedom[0, at] - float(freedom)) < tolerance
    assert count == len(names)


def fit_in(run, case, reference):
    """Return a run's fit with columns in the order of its own reference levels."""
    if reference.get("ARMCD") == "TRT":
        design = np.stack(list(columns_of("arm", reference).values()), axis=3)
        panel = panel_of("arm", False, False, True, True)
        number = wide(DATA["AVISIT"].str[3].astype(int))
        coordinate = np.stack([number, wide(DATA["VISITN2"])], axis=3)
        panel = lay_out(VALUE, design, coordinate=coordinate)
        return fit_mixed(panel, run["covariance"])
    return fit_of(case, reference.get("AVISIT", "VIS1"))


@needs_listing
@pytest.mark.parametrize(
    "case",
    thinned([c for c in RUNS["case"] if LISTING.get(c, {}).get("fixed_effects_vcov")]),
)
def test_covariance_of_effects(case):
    run, fit = RUNS.set_index("case").loc[case], fit_of(case)
    back = design_inverse(fit.basis)[0]
    found = back @ covariance_by(fit, run["by"], run["error"])[0] @ back.T
    rows = LISTING[case]["fixed_effects_vcov"][:2]
    expected = np.array([[row["Col1"], row["Col2"]] for row in rows])
    freedom = contrast(fit, np.eye(2), by="satterthwaite").freedom[0].min()
    far = 2 * np.sqrt(gap_of(case) / (2 * freedom))
    np.testing.assert_allclose(found, expected, rtol=2 * far)


@needs_listing
@pytest.mark.slow
@pytest.mark.parametrize("case", ["SAS_sas_log", "SAS_sas_log_reml"])
def test_means_and_tests_of_effects(case):
    """Means of arms at visits, their differences, and type 3 tests of all effects."""
    run, listing = RUNS.set_index("case").loc[case], LISTING[case]
    names = list(columns_of("full", {"AVISIT": "VIS1"}))
    fit = fit_of(case)
    rows = {f"{v}|{a}": mean_row(names, v, a) for v in LEVELS["AVISIT"] for a in (0, 1)}
    for row in listing.get("lsmeans", []):
        visit, arm = row["effect"].split("|")[1:]
        agree_with_listing(case, rows[f"{visit}|{int(arm == 'TRT')}"], row)
    for row in listing.get("lsmeans_differences", []):
        _, *pair = row["effect"].split("|")
        first, second = (
            rows[f"{visit}|{int(arm == 'TRT')}"] for visit, arm in (pair[:2], pair[2:])
        )
        agree_with_listing(case, first - second, row)
    for row in listing["type3"]:
        made = joint_test(fit, type_three(names, row["effect"]), by=run["by"])
        assert made.rows == row["num_df"]
        assert abs(made.f[0] - row["F"]) < half_digit(row["F"]) * 1.02 + 1e-4 * row["F"]
        assert abs(made.freedom[0] - row["den_df"]) < 0.51 + 1e-3 * row["den_df"]


def agree_with_listing(case, row, listed):
    made = contrast(fit_of(case), row[None], by="satterthwaite")
    far = np.sqrt(gap_of(case) / (2 * made.freedom[0, 0]))
    found = [field[0, 0] for field in made[:3]]
    value, error, freedom = (listed[name] for name in ("estimate", "se", "df"))
    assert abs(found[0] - value) < half_digit(value) * 1.02 + 1e-2 * error
    assert abs(found[1] - error) < half_digit(error) * 1.02 + far * error
    assert abs(found[2] - freedom) < 0.51 + 4 * far * freedom


def mean_row(names, visit, arm):
    """Weigh the coefficients of an arm's mean at a visit, other factors averaged."""
    row = np.zeros(len(names))
    shares = {"Intercept": 1.0, "SEX|Female": 1 / 2, "ARMCD|TRT": arm}
    shares |= {name: 1 / 3 for name in names if name.startswith("RACE")}
    shares |= {f"AVISIT|{visit}": 1.0, f"AVISIT*ARMCD|{visit}|TRT": arm}
    for name, share in shares.items():
        if name in names:
            row[names.index(name)] = share
    return row


def type_three(names, effect):
    """Return the rows of a type 3 test: other factors weigh their levels alike."""
    means = {(v, a): mean_row(names, v, a) for v in LEVELS["AVISIT"] for a in (0, 1)}
    change = {v: means[v, 1] - means[v, 0] for v in LEVELS["AVISIT"]}
    middle = {v: (means[v, 1] + means[v, 0]) / 2 for v in LEVELS["AVISIT"]}
    later = LEVELS["AVISIT"][1:]
    match effect:
        case "ARMCD":
            return np.mean(list(change.values()), axis=0)[None]
        case "AVISIT":
            return np.stack([middle[v] - middle["VIS1"] for v in later])
        case "AVISIT*ARMCD":
            return np.stack([change[v] - change["VIS1"] for v in later])
        case _:
            places = [i for i, name in enumerate(names) if name.startswith(effect)]
            return np.eye(len(names))[places]


@needs_listing
@pytest.mark.slow
def test_tables_of_effects_at_full_precision(cell):
    """Arm by baseline, and sex by arm with a slope in each arm; first-order AR."""
    design = np.stack([np.ones_like(ARM), ARM, BASELINE, ARM * BASELINE], axis=3)
    fit = fit_mixed(lay_out(VALUE, design), "ar1")
    rows = np.array([[0, 1.0, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    agree_with_table(fit, [row[None] for row in rows], "anova_test3_1", cell)
    rows[1, 3] = type_two(design, 2, 3)
    agree_with_table(fit, [row[None] for row in rows], "anova_test2_1", cell)
    slopes_of_arms = [BASELINE * (1 - ARM), BASELINE * ARM]
    columns = [np.ones_like(ARM), ARM, FEMALE, ARM * FEMALE, *slopes_of_arms]
    design = np.stack(columns, axis=3)
    fit = fit_mixed(lay_out(VALUE, design), "ar1")
    rows = [[0, 1, 0, 0.5, 0, 0], [0, 0, 1, 0.5, 0, 0], [0, 0, 0, 1, 0, 0]]
    rows = [np.array([row], float) for row in rows]
    agree_with_table(fit, [*rows, np.eye(6)[4:]], "anova_test3_2", cell)
    rows[0][0, 3], rows[1][0, 3] = type_two(design, 1, 3), type_two(design, 2, 3)
    agree_with_table(fit, [*rows, np.eye(6)[4:]], "anova_test2_2", cell)


def type_two(design, effect, containing):
    """Return the share of a column that a type 2 test of another gives it.

    It is the one that plain least squares leaves once all others are fitted.
    """
    seen = np.isfinite(VALUE[0])
    columns = design[0][seen]
    others = np.delete(columns, [effect, containing], axis=1)
    pair = columns[:, [effect, containing]]
    rest = pair - others @ np.linalg.lstsq(others, pair)[0]
    return rest[:, 0] @ rest[:, 1] / (rest[:, 0] @ rest[:, 0])


def agree_with_table(fit, effects_of, name, cell):
    table = pd.read_csv(FOLDER / f"{name}.csv")
    for rows, (_, line) in zip(effects_of, table.iterrows(), strict=True):
        made = joint_test(fit, rows, by="satterthwaite")
        assert made.rows == line["NumDF"]
        found = [made.f[0], made.freedom[0], made.p[0]]
        expected = line[["FValue", "DenDF", "ProbF"]].astype(float)
        error = np.abs(np.array(found) / expected.to_numpy() - 1).max()
        cell("MMRM against SAS: tests of effects", line["Effect"], name, error)
        assert error < 1e-5


PREDICTED = [
    ("ar1", "predict_ar_1__satterthwaite", "satterthwaite"),
    ("cs", "predict_cs_satterthwaite", "satterthwaite"),
    ("toep", "predict_toep_satterthwaite", "satterthwaite"),
    ("un", "predict_un_satterthwaite", "satterthwaite"),
    ("sp exp", "predict_sp_exp__VISITN_VISITN2__satterthwaite", "satterthwaite"),
    ("ar1", "predict_ar_1__kenwardroger", "kenward-roger"),
    ("cs", "predict_cs_kenwardroger", "kenward-roger"),
    ("toep", "predict_toep_kenwardroger", "kenward-roger"),
    ("sp exp", "predict_sp_exp__VISITN_VISITN2__kenwardroger", "kenward-roger"),
]


@needs_listing
@pytest.mark.slow
@pytest.mark.parametrize(("covariance", "name", "by"), PREDICTED)
def test_predictions(covariance, name, by, cell):
    """Means, predictions of missing visits, and their errors.

    With Kenward and Roger SAS's error of a predicted value has a term more, for the
    covariance parameters within the prediction; vtrial's has not.
    """
    table = pd.read_csv(FOLDER / f"{name}.csv")
    spatial = covariance.startswith("sp")
    panel = panel_of("arm", False, False, spatial, spatial)
    fit = fit_mixed(panel, covariance)
    design = np.stack(list(columns_of("arm").values()), axis=3)
    made = predict(fit, VALUE, design, by=by)
    known = ("PM", "PMSD", "P", "PSD") if by == "satterthwaite" else ("PM", "PMSD", "P")
    for column, found in zip(known, made, strict=False):
        error = np.abs(found.ravel() / table[column].to_numpy() - 1).max()
        cell(f"MMRM against SAS: predictions, {by}", covariance, column, error)
        assert error < 2e-4


def test_sas_leaves_weights_out_of_degrees_of_freedom():
    """SAS's degrees of freedom change with the unit of the weights; these do not.

    It takes the derivatives of the covariance without the weights. So done here, its
    numbers come out.
    """
    fit = fit_of("SAS_sas_weighted", "VIS4")
    columns = columns_of("full", {"AVISIT": "VIS4"})
    names, design = list(columns), np.stack(list(columns.values()), axis=3)[0]
    seen, weight = fit.panel.seen[0], wide(DATA["WEIGHT"])[0]
    pieces = list(zip(*np.tril_indices(4), strict=True))
    slope = np.zeros((len(pieces), len(names), len(names)))
    for here, own, row in zip(seen, weight, design, strict=True):
        root = np.diag(own[here] ** -0.5)
        matrix = root @ fit.matrix[0, 0][np.ix_(here, here)] @ root
        pull = np.linalg.solve(matrix, row[here]) if here.any() else row[here]
        for k, (a, b) in enumerate(pieces):
            unit = np.zeros((4, 4))
            unit[a, b] = unit[b, a] = 1.0
            slope[k] -= pull.T @ unit[np.ix_(here, here)] @ pull
    back = design_inverse(fit.basis)[0]
    spread = back @ fit.covariance[0] @ back.T
    gradient = -np.stack([np.diag(spread @ s @ spread) for s in slope], axis=1)
    variance = np.vecdot(gradient @ fit.spread[0], gradient)
    found = 2 * np.diag(spread) ** 2 / variance
    expected = {"Intercept": 407, "SEX|Female": 506, "ARMCD|TRT": 357}
    for name, freedom in expected.items():
        assert abs(found[names.index(name)] - freedom) < 0.51
    plain = contrast(fit, np.eye(len(names)), by="satterthwaite")
    panel = lay_out(VALUE, design[None], weight=7 * weight[None])
    scaled = contrast(fit_mixed(panel, "un"), np.eye(len(names)), by="satterthwaite")
    np.testing.assert_allclose(scaled.freedom, plain.freedom, rtol=1e-6)
    assert plain.freedom[0].max() < 197  # there are no more subjects


@needs_listing
def test_what_sas_cannot_fit_is_not_fitted():
    value = VALUE.copy()
    value.reshape(-1)[50:] = np.nan
    design = np.stack(list(columns_of("full").values()), axis=3)
    failed = [c for c, run in LISTING.items() if not run["converged"]]
    assert failed
    for case in failed:
        restricted = LISTING[case]["method"] == "REML"
        fit = fit_mixed(lay_out(value, design), "un", restricted=restricted)
        assert not fit.converged[0]
        assert np.isnan(effects(fit)).all()


@needs_listing
def test_every_run_is_here_but_what_cannot_be_repeated():
    repeated = set(RUNS["case"])
    failed = {case for case, run in LISTING.items() if not run["converged"]}
    unknown = {c for c, run in LISTING.items() if run["weight"] == "fit_weight"}
    assert set(LISTING) == repeated | failed | unknown
    assert unknown == {"SAS_sas_resid_un_weighted"}  # its weights are not given
