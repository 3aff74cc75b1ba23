"""Non-compartmental analysis: other software's numbers, closed forms, rules."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.sheets.find import shipped

REFERENCE = Path(__file__).parents[1] / "reference" / "nca"
RULES = {"linear": "linear", "log": "linear up log down"}


def numbers(path, **how):
    """Analyse a table; return parameters by column, a row a profile."""
    return vt.jobs.nca_wide(vt.jobs.noncompartmental(path, **how))


def written(folder, text):
    path = folder / "data.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", ["theophylline", "bolus", "infusion"])
def test_numbers_are_those_of_phoenix_winnonlin(case, rule, tmp_path, note):
    theophylline = case == "theophylline"
    drug = case if theophylline else f"indomethacin-{case}"
    with open(REFERENCE / f"winnonlin-{drug}-{rule}.csv") as lines:
        wanted = list(csv.DictReader(lines))
    if theophylline:
        path = shipped("protocols") / "theophylline-single-dose.csv"
        found = numbers(path, amount="320", rule=RULES[rule])
    else:
        table = pd.read_csv(REFERENCE / "indomethacin.csv").assign(AMT=0.0, DUR=0.0)
        doses = table.drop_duplicates("ID").assign(TIME=0.0, DV=np.nan, AMT=25.0)
        doses["DUR"] = 0.25 if case == "infusion" else 0.0
        table = pd.concat([doses, table]).sort_values(["ID", "TIME"])
        table.to_csv(tmp_path / "data.csv", index=False, na_rep=".")
        found = numbers(tmp_path / "data.csv", route=case, rule=RULES[rule])
    worst = []
    assert found["USUBJID"].tolist() == [int(row["ID"]) for row in wanted]
    for name in wanted[0]:
        if name == "ID":
            continue
        column = np.array([float(row[name]) for row in wanted])
        gap = np.abs(found[name] - column) / np.where(column == 0, 1.0, np.abs(column))
        worst.append(float(gap.max()))
        assert worst[-1] < (2e-8 if theophylline or rule == "log" else 1e-13), name
    note(f"NCA of {drug}, {rule}, WinNonlin", max(worst))


EXPONENTIAL = np.r_[0.5, np.arange(1.0, 13.0)]


def test_a_bolus_that_falls_exponentially_has_its_closed_form(tmp_path):
    rate, volume, dose = 0.3, 20.0, 100.0
    rows = [f"1,{t},{dose / volume * np.exp(-rate * t):.17g},." for t in EXPONENTIAL]
    path = written(tmp_path, "\n".join(["ID,TIME,DV,AMT", "1,0,.,100", *rows]))
    found = numbers(
        path, conc="ug/mL", route="bolus", partial=["2 h to 40 h"], tau="6 h"
    ).iloc[0]
    area = dose / volume / rate
    wanted = {
        "C0": dose / volume,
        "LAMZ": rate,
        "AUCIFO": area,
        "AUCIFP": area,
        "CLO": rate * volume,
        "VZO": volume,
        "VSSO": volume,
        "MRTIVIFO": 1 / rate,
        "AUMCIFO": area / rate,
        "AUCINT 2-40": area * (np.exp(-0.6) - np.exp(-12)),
        "AUCTAU": area * (1 - np.exp(-1.8)),
        "AILAMZ": 1 / (1 - np.exp(-1.8)),
        "CMIN": dose / volume * np.exp(-1.8),
        "CTROUGH": dose / volume * np.exp(-1.8),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_units_convert_to_litres():
    path = shipped("protocols") / "theophylline-single-dose.csv"
    plain = vt.jobs.noncompartmental(path, amount="320")
    small = vt.jobs.noncompartmental(path, amount="320", conc="ng/mL", time="d")
    one, other = (
        t[t["PPTESTCD"] == "CLFO"].iloc[0][["PPORRES", "PPORRESU"]].tolist()
        for t in (plain, small)
    )
    assert one[1] == "L/h"
    assert other == [pytest.approx(1000 * one[0]), "L/d"]
    molar = vt.jobs.noncompartmental(path, amount="320", conc="umol/L")
    assert "mg/(umol/L*h)" in set(molar["PPORRESU"])


STEADY = "ID,TIME,DV,AMT,SS,II\n1,100,.,50,1,12\n" + "\n".join(
    f"1,{100 + t},{v},.,0,0" for t, v in ((0, 2), (1, 8), (4, 5), (8, 3), (12, 2))
)


def test_a_steady_state_is_analysed_over_its_interval(tmp_path):
    found = numbers(written(tmp_path, STEADY), rule="linear").iloc[0]
    area = 5 + 19.5 + 16 + 10
    assert found["AUCTAU"] == area
    assert found["CAVG"] == area / 12
    assert (found["CMAX"], found["CMIN"], found["CTROUGH"]) == (8, 2, 2)
    assert found["FLUCP"] == pytest.approx(100 * 6 / (area / 12))
    assert found["SWING"] == 3
    assert found["CLFTAU"] == 50 / area
    assert not {"AUCIFO", "CLFO", "VZFO"} & {*found.index}


def test_each_dose_begins_a_profile_and_says_what_it_cannot(tmp_path):
    rows = "1,0,.,10,\n1,1,5,.\n1,2,4,.\n1,4,2,.\n1,8,1,.\n1,12,0.5,.\n1,12,.,10\n"
    rows += "1,13,6,.\n1,16,3,.\n1,20,1.5,.\n1,24,0.7,.\n"
    text = "ID,TIME,DV,AMT\n" + rows.replace("10,\n", "10\n")
    table = vt.jobs.noncompartmental(written(tmp_path, text))
    found = vt.jobs.nca_wide(table)
    assert found["DOSENO"].tolist() == [1, 2]
    assert found["TMAX"].tolist() == [1, 1]
    assert found["TLST"].tolist() == [12, 12], "what was seen at the next dose counts"
    lost = table[(table["PPTESTCD"] == "AUCIFO") & (table["DOSENO"] == 2)].iloc[0]
    assert lost["PPSTAT"] == "NOT DONE"
    assert lost["PPREASND"] == "EARLIER DOSES ARE STILL THERE"


@pytest.mark.parametrize(
    ("blq", "area"),
    [
        ("zero before first", 2 + 4 + 6 + 12),
        ("zero before Tmax, missing after", 2 + 4 + 6 + 12),
        ("drop", 4 + 4 + 6 + 12),
        ("zero", 2 + 4 + 6 + 4 + 2),
        ("LLOQ/2", 0.25 + 2.25 + 4 + 6 + 4.25 + 2.25 + 2.25),
    ],
)
def test_rules_for_values_below_the_limit(blq, area, tmp_path):
    text = "ID,TIME,DV\n1,1,<1\n1,2,4\n1,3,4\n1,4,8\n1,5,BLQ\n1,6,4\n1,7,blq\n"
    found = numbers(written(tmp_path, text), rule="linear", blq=blq, lloq=1.0)
    assert found["AUCLST"][0] == pytest.approx(area)


def test_linear_log_is_logarithmic_behind_the_maximum_only(tmp_path):
    text = "ID,TIME,DV\n1,0,0\n1,1,4\n1,2,2\n1,3,8\n1,4,2\n1,5,3\n1,6,1\n"
    path = written(tmp_path, text)
    late = 6 / np.log(4) + 1 / np.log(1.5) + 2 / np.log(3)
    found = numbers(path, rule="linear log")["AUCLST"][0]
    assert found == pytest.approx(2 + 3 + 5 + late)
    down = numbers(path)["AUCLST"][0]
    assert down == pytest.approx(2 + 2 / np.log(2) + 5 + late - 1 / np.log(1.5) + 2.5)


def test_who_got_no_dose_has_no_clearance(tmp_path):
    rows = "".join(f"{who},{t},{8 - t},.\n" for who in (1, 2) for t in range(5))
    path = written(tmp_path, f"ID,TIME,DV,AMT\n1,0,.,10\n{rows}")
    found = numbers(path)
    assert found["CLFO"].notna().tolist() == [True, False]


def test_columns_part_the_rows(tmp_path):
    rows = "\n".join(
        f"1,{t},{v * scale},{period}"
        for period, scale in (("A", 1), ("B", 3))
        for t, v in ((0, 0), (1, 8), (2, 4), (4, 2), (6, 1))
    )
    path = written(tmp_path, f"ID,TIME,DV,PERIOD\n{rows}")
    found = numbers(path, by=["PERIOD"])
    assert found["PERIOD"].tolist() == ["A", "B"]
    assert found["AUCLST"][1] == pytest.approx(3 * found["AUCLST"][0])


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ("ID,TIME,CONCC\n1,0,1", {}, "DV is missing"),
        ("ID,TIME,DV\n1,0,1\n1,x,2", {}, "data.csv:3"),
        ("ID,TIME,DV\n1,2,1\n1,1,2\n1,3,1", {}, "ascending"),
        ("ID,TIME,DV\n1,1,1\n1,1,2\n1,3,1", {}, "--by PERIOD"),
        ("ID,TIME,DV\n1,1,1", {}, "without a profile"),
        ("ID,TIME,DV\n1,1,<2\n1,2,3", {"blq": "LLOQ/2"}, "--lloq"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"blq": "half"}, "zero before first"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"rule": "log"}, "linear up log down"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"partial": ["0 to 4"]}, "without a unit"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"tau": "12"}, "without a unit"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"amount": "DOSE"}, "a number, or a column"),
        ("ID,TIME,DV\n1,1,2\n1,2,3", {"conc": "mgg"}, "unit"),
        ("ID,TIME,DV,ROUTE\n1,1,2,nose\n1,2,3,nose", {}, "extravascular"),
        ("ID,TIME,DV,EVID\n1,0,1,101\n1,1,1,0\n1,2,1,0", {}, "0 to 4"),
        ("ID,TIME,DV,AMT,EVID\n1,0,.,0,1\n1,2,3,0,0\n1,3,3,0,0", {}, "above 0"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text, how, said, tmp_path):
    with pytest.raises(vt.VtrialError, match=said):
        vt.jobs.noncompartmental(written(tmp_path, text), **how)


def test_a_summary_has_geometric_means():
    path = shipped("protocols") / "theophylline-single-dose.csv"
    table = vt.jobs.noncompartmental(path, amount="320", partial=["0 h to 8 h"])
    found = vt.jobs.nca_summary(table).set_index("parameter")
    areas = table[table["PPTESTCD"] == "AUCLST"]["PPORRES"]
    row = found.loc["AUCLST"]
    assert row["geometric mean"] == pytest.approx(np.exp(np.log(areas).mean()))
    assert "AUCINT 0-8" in found.index
