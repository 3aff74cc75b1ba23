"""A crossover, run: as a parallel trial, what is carried over, and its report."""

from dataclasses import replace

import numpy as np
import pytest

import vtrial as vt
from vtrial.analysis.crossed import by_treatment
from vtrial.analysis.reading import chunks_of

SHEET = """
protocol: tablets
model: body
cohort: folk
subjects: 12
replicates: 4
seed: 2
potential: all
arms:
  test: {dose: 100 mg, set: {tvKA: 0.5 * tvKA}}
  reference: {dose: 100 mg}
design:
  crossover: {period: 24 h, washout: WASHOUT}
  randomisation: {permuted block: 2}
visits:
  blood: {at: "1 h, 2 h, 8 h, 24 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
  true area: {of: conc, take: area, values: true}
analysis:
  - {compare: test with reference, on: peak, by: ratio of geometric means}
  - {compare: test with reference, on: true area, by: difference of means}
keep: {trajectories: nothing}
"""
CROSSOVER = "  crossover: {period: 24 h, washout: WASHOUT}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.small_trial import COHORT, MODEL

    made = tmp_path_factory.mktemp("crossed")
    (made / "body.yaml").write_text(MODEL)
    (made / "folk.yaml").write_text(COHORT)
    return made


def run(folder, text, name):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    protocol = vt.load_protocol(path)
    record = vt.run(protocol, out=folder / name, workers=0)
    return protocol, record.tree()


@pytest.fixture(scope="module")
def washed(folder):
    return run(folder, SHEET.replace("WASHOUT", "30 d"), "washed")


def held(tree, arm, place):
    return tree[f"arms/{arm}/outcomes"]["outcome"].values[:, place]


def test_first_periods_are_those_of_a_parallel_trial_and_later_ones_follow(
    folder, washed
):
    protocol, tree = washed
    parallel = SHEET.replace(CROSSOVER, "").replace("tablets", "parallel")
    parallel = parallel.replace("by: difference of means", "by: difference by ranks")
    _, other = run(folder, parallel, "parallel")
    names = [one.name for one in protocol.endpoints]
    for arm, treatment in (("test then reference", "test"),):
        place = names.index("peak in period 1")
        np.testing.assert_allclose(
            held(tree, arm, place), held(other, treatment, 0), rtol=1e-9
        )
    # Nothing is left after thirty days, and nothing else differs between periods.
    first = held(tree, "test then reference", names.index("true area in period 1"))
    second = held(tree, "reference then test", names.index("true area in period 2"))
    np.testing.assert_allclose(first, second, rtol=2e-3)


def test_rows_are_periods_and_are_compared_within_persons(washed):
    protocol, tree = washed
    (people,) = chunks_of(tree, protocol)
    chunk = by_treatment(people, protocol.crossover)
    test, reference = (chunk.own(arm, "peak") for arm in ("test", "reference"))
    assert (np.isfinite(test) ^ np.isfinite(reference)).all()
    first = people.in_arm("test then reference")
    np.testing.assert_array_equal(
        test.reshape(4, 12, 2)[first][:, 0],
        people.values("test then reference", "peak in period 1")[first],
    )
    np.testing.assert_array_equal(
        test.reshape(4, 12, 2)[~first][:, 1],
        people.values("reference then test", "peak in period 2")[~first],
    )
    found = vt.evaluate(tree, protocol)
    assert found.flow["arm"].tolist() == ["test then reference", "reference then test"]
    assert found.flow["enrolled"].tolist() == [24, 24]
    row = found.contrasts.iloc[0]
    logs = np.log(np.where(np.isfinite(test), test, reference)).reshape(4, 12, 2)
    gap = np.where(first, logs[..., 0] - logs[..., 1], logs[..., 1] - logs[..., 0])
    halves = [np.where(side, gap, np.nan) for side in (first, ~first)]
    expected = np.mean([np.nanmean(h, axis=1) for h in halves])
    assert np.log(row["estimate"]) == pytest.approx(expected, rel=1e-9)
    size = found.operating.query("measure == 'expected size'")["value"]
    assert (size == 12).all()
    assert "CV within persons" in set(found.details["measure"])
    asked, _ = protocol.analysis.comparisons
    asked = replace(asked, random="subjects", freedom="Satterthwaite")
    analysis = replace(protocol.analysis, comparisons=(asked,))
    mixed = vt.evaluate(tree, replace(protocol, analysis=analysis))
    # With everything there, random persons give what fixed ones do.
    both = [
        one.contrasts.select_dtypes("number").iloc[0].to_numpy()
        for one in (found, mixed)
    ]
    np.testing.assert_allclose(*both, rtol=1e-8)
    assert "CV between persons" in set(mixed.details["measure"])


def test_what_a_short_washout_leaves_is_carried_over(folder, washed):
    protocol, tree = run(folder, SHEET.replace("WASHOUT", "1 h"), "hurried")
    found = vt.evaluate(tree, protocol)
    away = vt.evaluate(tree=washed[1], protocol=washed[0])
    mean = found.endpoints.query("endpoint == 'true area' and statistic == 'mean'")
    clean = away.endpoints.query("endpoint == 'true area' and statistic == 'mean'")
    assert (mean["estimate"].values > 1.02 * clean["estimate"].values).all()
    np.testing.assert_allclose(mean["truth"], clean["truth"], rtol=2e-3)
    page = vt.render(found, protocol, folder / "page", attributes=tree.attrs)
    text = page.read_text()
    assert "every subject has 2 periods" in text
    assert "reference then test" in text


def test_a_period_that_is_cut_short_has_no_number_unless_the_sheet_says_so(folder):
    leaving = "  dropout: {share: 70 %, by: 49 h}\n" + CROSSOVER
    text = SHEET.replace(CROSSOVER, leaving).replace("WASHOUT", "1 h")
    text = text.replace(
        "endpoints:\n",
        "endpoints:\n  so far: {of: conc, take: maximum,"
        " intercurrent: {dropout: while on treatment}}\n",
    )
    protocol, tree = run(folder, text.replace("replicates: 4", "replicates: 10"), "cut")
    names = [one.name for one in protocol.endpoints]
    for arm in ("test then reference", "reference then test"):
        left = tree[f"arms/{arm}"]["left"].values
        left = np.where(np.isnan(left), np.inf, left)
        assert (left < 1).any(), "somebody has no value at all"
        for period, start in enumerate((0.0, 25.0)):
            peak, so_far = (
                held(tree, arm, names.index(f"{name} in period {period + 1}"))
                for name in ("peak", "so far")
            )
            whole = left >= start + 24
            np.testing.assert_array_equal(np.isfinite(peak), whole)
            # One value is enough, but none of an earlier period stands for it.
            np.testing.assert_array_equal(np.isfinite(so_far), left >= start + 1)
            np.testing.assert_array_equal(peak[whole], so_far[whole])
    found = vt.evaluate(tree, protocol).missing
    assert set(found["reason"]) == {"left before"}
