"""Dropout, endpoints of endpoints, and events in between, in the blocks of a trial."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.dims import ENDPOINT
from vtrial.errors import ProtocolError
from vtrial.types import Missing

ENDPOINTS = """endpoints:
  peak: {of: conc, take: maximum, within: "24 h to 48 h"}
  end: {of: conc, take: value, at: 48 h}
  low: {of: conc, take: time to, high: 0.4}
  gone: {of: hazard, take: event by hazard}
  often: {of: hazard, take: number of events}
  either: {first of: [low, gone]}
  ratio: {equals: "100 * end / peak + 0 * WT", unit: "%"}
  kept: {equals: end / peak, above: 0.3}
  strict: {of: conc, take: value, at: 48 h, intercurrent: {gone: hypothetical}}
  mild: {of: conc, take: value, at: 48 h, intercurrent: {gone: while on treatment}}
  harsh: {of: conc, take: value, at: 48 h, intercurrent: {gone: composite},
          failure: 0 mg/L}
  grade: {of: conc, take: minimum, grades: [0.8, 0.4, 0.2]}
"""


@pytest.fixture
def trial(sheets):
    text = sheets.texts["small"]
    start = text.index("endpoints:")
    stop = text.index("analysis:")
    sheets.texts["small"] = text[:start] + ENDPOINTS + text[stop:]
    sheets.change("body", "  effect = ", "  d/dt(risk) = 0.02\n  effect = ")
    sheets.change(
        "body",
        "  effect: {unit: 1, error",
        "  hazard: {equals: risk, unit: 1}\n  effect: {unit: 1, error",
    )
    return sheets


def outcomes(sheets, tmp_path, **changes):
    record = vt.run(sheets.load(**changes), out=tmp_path / "record", workers=0)
    found = {}
    for arm in ("low", "high"):
        data = record.tree()[f"arms/{arm}/outcomes"].to_dataset()
        names = [str(name) for name in data[ENDPOINT].values]
        for place, name in enumerate(names):
            for part in ("outcome", "event", "reason"):
                values = np.asarray(data[part].isel({ENDPOINT: place}))
                found[arm, name, part] = values
    mine = {
        key: values[np.isfinite(found[key[0], "peak", "outcome"])]
        for key, values in found.items()
    }
    return {
        (name, part): np.concatenate([mine[arm, name, part] for arm in ("low", "high")])
        for _, name, part in mine
    }


@pytest.mark.slow
def test_endpoints_of_endpoints_and_events_in_between(trial, tmp_path):
    found = outcomes(trial, tmp_path)
    number = {name: found[name, "outcome"] for name, _ in found}
    event = {name: found[name, "event"] for name, _ in found}
    assert len(number["peak"]) == 120
    np.testing.assert_allclose(
        number["ratio"], 100 * number["end"] / number["peak"], rtol=1e-12
    )
    np.testing.assert_array_equal(number["kept"], number["end"] / number["peak"] > 0.3)

    happened = {
        name: np.where(event[name] == 1, number[name], np.inf)
        for name in ("low", "gone")
    }
    first = np.minimum(happened["low"], happened["gone"])
    censored = np.minimum(number["low"], number["gone"])
    np.testing.assert_array_equal(number["either"], np.minimum(first, censored))
    np.testing.assert_array_equal(event["either"], first <= censored)

    gone = happened["gone"]
    assert 0.4 < (event["gone"] == 1).mean() < 0.8  # 1 - exp(-0.96) = 0.62
    assert abs(number["often"].mean() - 0.96) < 0.3
    np.testing.assert_array_equal(np.isfinite(number["strict"]), gone >= 48)
    reason = np.where(gone >= 48, Missing.NOT, Missing.CUT_OFF)
    np.testing.assert_array_equal(found["strict", "reason"], reason)
    same = gone >= 48
    for name in ("strict", "mild", "harsh"):
        np.testing.assert_array_equal(number[name][same], number["end"][same])
    np.testing.assert_array_equal(number["harsh"][~same], 0.0)
    seen_before = gone >= 25
    np.testing.assert_array_equal(np.isfinite(number["mild"]), seen_before)
    assert set(np.unique(number["grade"])) <= {0.0, 1.0, 2.0, 3.0}


@pytest.mark.slow
def test_who_leaves_is_seen_no_more(trial, tmp_path):
    trial.change(
        "small",
        "endpoints:",
        "design: {dropout: {share: {low: 0 %, high: 60 %}, by: 36 h}}\nendpoints:",
    )
    trial.change("small", "replicates: 4", "replicates: 20")
    record = vt.run(trial.load(), out=tmp_path / "record", workers=0)
    tree = record.tree()
    missing = {}
    for arm in ("low", "high"):
        measured = np.asarray(tree[f"arms/{arm}/measurements/measured"])[:, :, 0]
        there = np.asarray(tree[f"arms/{arm}/status"]) == 0
        missing[arm] = np.isnan(measured[there])
        gone = np.isnan(measured[there]).astype(int)
        assert (np.diff(gone, axis=1) >= 0).all(), "who left does not return"
        reason = np.asarray(tree[f"arms/{arm}/outcomes/reason"])[there]
        ended = np.asarray(tree[f"arms/{arm}/outcomes"][ENDPOINT]) == "end"
        wanted = np.where(gone[:, -1], Missing.LEFT, Missing.NOT)
        np.testing.assert_array_equal(reason[:, ended][:, 0], wanted)
        # What is made of it lacks for the same reason.
        of_it = np.asarray(tree[f"arms/{arm}/outcomes"][ENDPOINT]) == "ratio"
        np.testing.assert_array_equal(reason[:, of_it][:, 0], wanted)
    assert not missing["low"].any()
    share = missing["high"].mean(axis=0)
    hazard = -np.log(0.4) / 36
    wanted = 1 - np.exp(-hazard * np.array([25.0, 28.0, 36.0, 48.0]))
    error = np.sqrt(wanted * (1 - wanted) / len(missing["high"]))
    assert (np.abs(share - wanted) < 3.5 * error).all()


@pytest.mark.slow
def test_dropout_changes_nothing_of_who_stays(trial, tmp_path):
    before = outcomes(trial, tmp_path / "before")
    trial.change(
        "small",
        "endpoints:",
        "design: {dropout: {share: 20 %, by: 48 h}}\nendpoints:",
    )
    after = outcomes(trial, tmp_path / "after")
    assert len(after["end", "outcome"]) < len(before["end", "outcome"])
    stayed = after["end", "outcome"]
    stayed = stayed[np.isfinite(stayed)]
    assert 0.7 * 120 < stayed.size < 0.9 * 120
    assert set(stayed) <= set(before["end", "outcome"])


@pytest.mark.slow
def test_many_areas_compile_together(sheets, tmp_path):
    """XLA ends the process at these if several outputs are fused."""
    text = sheets.texts["small"]
    areas = [
        f"  a{n}: {{of: conc, take: AUC tau, within: {n} h to 36 h, values: true}}"
        for n in (0, 12, 24)
    ]
    lines = "\n".join(["endpoints:", *areas])
    sheets.texts["small"] = text.replace("endpoints:", lines)
    record = vt.run(sheets.load(), out=tmp_path / "record", workers=0)
    found = np.asarray(record.tree()["arms/low/outcomes/outcome"])[:, :3]
    there = np.asarray(record.tree()["arms/low/status"]) == 0
    assert (found[there] > 0).all()


@pytest.mark.parametrize(
    ("entry", "where", "found", "write"),
    [
        ("x: {equals: end / peek}", "x.equals", "`peek`", "peak"),
        (
            "x: {equals: late + 1}\n  late: {of: conc, take: mean}",
            "x.equals",
            "late",
            "",
        ),
        ("x: {first of: [low, peak]}", "x.first of.1", "`peak`", ""),
        ("x: {equals: end, of: conc}", "x.of", "`equals`", "equals"),
        ("x: {of: conc}", "x.take", "missing", "take: value"),
        ("x: {take: mean}", "x.of", "missing", "of: conc"),
        (
            "x: {of: conc, take: mean, intercurrent: {gone: composite}}",
            "x.failure",
            "missing",
            "failure: 0",
        ),
        (
            "x: {of: conc, take: mean, failure: 1}",
            "x.failure",
            "no event",
            "intercurrent",
        ),
        (
            "x: {of: conc, take: mean, intercurrent: {peak: hypothetical}}",
            "x.intercurrent.peak",
            "`peak`",
            "",
        ),
        (
            "x: {of: conc, take: time to, high: 1, intercurrent: {gone: hypothetical}}",
            "x.intercurrent",
            "time to an event",
            "first of: [x, gone]",
        ),
        ("x: {of: conc, take: mean, grades: iron}", "x.grades", "`iron`", ""),
        ("x: {of: conc, take: mean, grades: [1, 3, 2]}", "x.grades", "1, 3", "[1.5"),
        ("x: {of: conc, take: mean, confirmed: 2}", "x.confirmed", "`2`", "a duration"),
        ("x: {of: conc, take: event time}", "x.of", "mg/L", "converts to"),
        ("x: {of: conc, take: half-life, within: 25 h to 36 h}", "x.within", "3", ""),
        ("x: {of: conc, take: best response}", "x.of", "mg/L", "converts to"),
    ],
)
def test_endpoints_that_cannot_be_are_refused(trial, entry, where, found, write):
    trial.change("small", "  grade: {of", f"  {entry}\n  grade: {{of")
    fault = trial.refused()[f"endpoints.{where}"]
    assert found in fault.found
    assert write in f"{fault.write} {fault.allowed}"


@pytest.mark.parametrize(
    "words", ["{share: 100 %, by: day 1}", "{share: 5 %, by: day 0}"]
)
def test_dropout_that_cannot_be_is_refused(trial, words):
    trial.change("small", "endpoints:", f"design: {{dropout: {words}}}\nendpoints:")
    with pytest.raises(ProtocolError, match="less than all, after the start"):
        trial.load()
