"""The command line as a pharmacologist and a script use it."""

import json
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import vtrial as vt
from vtrial.cli.app import DONE, MISSED, UNSOLVED, WRONG, app
from vtrial.conduct.glossary import SHAPES
from vtrial.sheets.validate import fields_of

COMMANDS = [
    "new",
    "check",
    "plan",
    "run",
    "report",
    "compare",
    "validate",
    "simulate",
    "nca",
    "plot",
    "convert",
    "model",
    "cohort",
    "schema",
    "explain",
    "doctor",
]
TRIAL = """
protocol: tiny
model: one-compartment-oral
cohort: adults
subjects: 8
replicates: 2
seed: 1
arms:
  low: {dose: "50 mg every 24 h x 2"}
  high: {dose: "100 mg every 24 h x 2"}
visits:
  profile: {at: "24 h, 25 h, 26 h, 28 h, 48 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum, within: "24 h to 48 h"}
analysis:
  - {compare: high with low, on: peak, by: ratio of geometric means}
published:
  - {arm: high, endpoint: peak, value: 900, within: 1, source: {note: a miss}}
"""


def use(*arguments, code=DONE):
    """Run a command in this process; return what it printed."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def shell(*arguments, cwd=None):
    """Run `vtrial` as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "vtrial.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


@pytest.fixture
def trial(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TRIAL)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command):
    assert f"Example: vtrial {command}" in " ".join(use(command, "--help").split())


@pytest.mark.parametrize("kind", SHAPES)
def test_new_sheets_are_in_order(kind, tmp_path):
    path = tmp_path / f"my-{kind}.yaml"
    use("new", kind, path)
    assert f"a {kind} in order" in use("check", path)
    before = path.read_text()
    use("new", kind, path, code=WRONG)
    assert path.read_text() == before, "nothing is overwritten"


@pytest.mark.parametrize("kind", SHAPES)
def test_new_sheets_explain_every_key(kind, tmp_path):
    """Whatever a shape has stands in the sheet, with what the shape says of it."""
    path = tmp_path / f"my-{kind}.yaml"
    use("new", kind, path)
    text = " ".join(path.read_text().replace("#", " ").split())
    asked = [SHAPES[kind]]
    while asked:
        schema = asked.pop()
        for key, field in fields_of(schema).items():
            assert field.description, (schema.__name__, key)
            assert f"{key}: {' '.join(field.description.split())}" in text, key
        asked += [
            part
            for field in fields_of(schema).values()
            for part in shapes_in(field.annotation)
        ]


def shapes_in(annotation):
    """List the shapes inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in shapes_in(part)]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("lloq", ["model: outputs.NAME.lloq", "example: lloq: 0.1", "docs/model.md"]),
        ("random.cv", ["(model: random.cv)", "Coefficient of variation"]),
        ("risk difference", ["analysis.by", "of responses", "docs/protocol.md"]),
        ("AUC tau", ["endpoints.NAME.take", "terminal rate"]),
        ("dose", ["arms.NAME.dose", "docs/dosing.md"]),
        ("unit", ["cohort: covariates.NAME.unit", "model: parameters.NAME.unit"]),
    ],
)
def test_explain_prints_the_entry_of_a_key(key, words):
    said = use("explain", *key.split())
    assert all(word in said for word in words), said
    assert "random.cv" not in use("explain", "lognormal.cv")


def test_explain_of_what_no_sheet_knows_names_what_is_like_it():
    with pytest.raises(vt.VtrialError, match="Write `lloq`"):
        vt.conduct.explain("lloqq")
    with pytest.raises(vt.VtrialError, match="such as risk difference"):
        vt.conduct.explain("difference of proportions")


def test_a_sheet_of_another_kind_is_not_run_but_named(tmp_path):
    for name, kind in (("adults", "cohort"), ("theophylline", "model")):
        with pytest.raises(vt.VtrialError, match=f"is a {kind}: `vtrial {kind} "):
            vt.load_protocol(name)
    path = tmp_path / "wanted.yaml"
    use("new", "match", path)
    with pytest.raises(vt.VtrialError, match="a match sheet, which `vtrial match COH"):
        vt.optimise.load_sampling(path, vt.load_model("theophylline"))
    path = tmp_path / "people.yaml"
    use("new", "cohort", path)
    done = shell("run", path, cwd=tmp_path)
    assert done.returncode == WRONG
    assert f"a cohort sheet, which `vtrial cohort {path}` shows" in done.stderr
    assert "missing" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "old", "new", "line", "told"),
    [
        ("match", "sd: 12", "sd: 0", 8, "above 0"),
        ("match", "42 %", "142 %", 10, "not all shares"),
        ("match", "{of: AGE, mean: 60, sd: 12}", "{of: [AGE, WT]}", 8, "a number"),
        ("match", "targets:", "target:", 7, "Write `targets`"),
        ("sampling", "100 mg", "100 mg evry 12 h", 7, "evry"),
        ("sampling", "24 h every", "24 h each", 11, "without a step"),
        ("sampling", "subjects: 24", "subjects: 0", 8, "at least 1"),
        ("sampling", '30 min"', '30 min"\nwindow: 3 kg', 12, "window"),
    ],
)
def test_check_tells_faults_of_targets_and_of_sampling(
    kind, old, new, line, told, tmp_path
):
    path = tmp_path / "sheet.yaml"
    use("new", kind, path)
    text = path.read_text().split("# Every key")[0]
    assert old in text
    path.write_text(text.replace(old, new))
    said = json.loads(use("check", path, "--json", code=WRONG))
    (fault,) = said["entries"]
    assert fault["line"] == line
    assert told in " ".join(map(str, fault.values()))


def test_new_refuses_an_unknown_kind(tmp_path):
    use("new", "regimen", tmp_path / "x.yaml", code=WRONG)
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_written_are_told_in_words(tmp_path):
    for name in ("x" * 300 + ".yaml", "x/" * 3000 + "y.yaml"):
        done = shell("new", "model", name, cwd=tmp_path)
        assert done.returncode == 1, "the work failed"
        assert "cannot be read or written" in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["\x1b[31m", "x" * 300, "../" * 2000, ""])
def test_sheets_that_cannot_be_are_told_in_words(name, tmp_path):
    for command in ("check", "plan", "model", "cohort"):
        found = CliRunner().invoke(app, [command, name or " "])
        assert isinstance(found.exception, SystemExit | vt.VtrialError)
        assert "\x1b" not in found.output + str(found.exception)


def test_check_tells_every_fault_with_line_and_remedy(trial):
    trial.write_text(
        TRIAL.replace("of: conc", "of: cons").replace("50 mg every", "50 mgg every")
    )
    done = shell("check", trial)
    assert done.returncode == WRONG
    assert f"{trial}:9" in done.stderr
    assert f"{trial}:14" in done.stderr
    assert "2 faults; nothing was run." in done.stderr
    entries = json.loads(use("check", trial, "--json", code=WRONG))
    assert entries["faults"] == 2
    assert {entry["line"] for entry in entries["entries"]} == {9, 14}


def test_plan_does_nothing(trial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert "closed form" in use("plan", trial)
    assert json.loads(use("plan", trial, "--json"))["total_subjects"] == 16
    assert set(tmp_path.iterdir()) == before


def test_run_report_validate(trial, tmp_path):
    out = tmp_path / "out"
    printed = use("run", trial, "--out", out, "--workers", 0)
    assert "Endpoints" in printed
    assert "Published and simulated" in printed
    assert (out / "report.html").is_file()
    (out / "report.html").unlink()
    use("report", out)
    assert (out / "report.html").is_file()
    assert "whole: 1 blocks of" in use("doctor", out)
    numbers = json.loads(use("run", trial, "--out", out, "--json"))
    assert {row["arm"] for row in numbers["endpoints"]} == {"low", "high"}
    assert numbers["comparisons"][0]["estimate"] > 1
    assert numbers["published"][0]["verdict"] == "MISS"
    assert all(row["status"] for row in numbers["failures"])
    assert numbers["report"] == str(out / "report.html")
    table = json.loads(
        use("validate", trial, "--out", tmp_path, "--workers", 0, "--json", code=MISSED)
    )
    assert table[0]["published"] == 900
    assert "MISS" in use("validate", trial, "--out", tmp_path, code=MISSED)
    assert table[0]["within"] is False
    assert (tmp_path / "tiny" / "report.html").is_file()


@pytest.mark.parametrize(
    ("verdicts", "failed", "code"),
    [
        (["within", "undecided"], 0, DONE),
        (["within", "MISS"], 0, MISSED),
        (["within", "within"], 2, UNSOLVED),
        (["within", "MISS"], 1, UNSOLVED),
    ],
)
def test_validate_says_by_its_code_what_is_wrong(monkeypatch, verdicts, failed, code):
    """Subjects who were not solved come first: a miss may be for them."""
    columns = {"protocol": "tiny", "what": "peak", "published": 9.0, "unit": "mg/L"}
    columns |= {"low": 8.0, "high": 10.0, "simulated": 9.5, "mc_error": 0.1}
    columns |= {"kind": "plain", "source": "", "verified": True, "failed": failed}
    table = pd.DataFrame({"verdict": verdicts} | columns)
    monkeypatch.setattr(vt.diagnose, "validate", lambda *_, **__: table)
    use("validate", "tiny.yaml", code=code)


def test_a_record_is_reported_by_what_was_run_and_only_if_it_is_whole(trial, tmp_path):
    out, edited = tmp_path / "out", tmp_path / "edited.yaml"
    use("run", trial, "--out", out, "--workers", 0)
    edited.write_text(trial.read_text().replace("value: 900", "value: 1"))
    use("report", out, "--protocol", edited, "--check")
    assert "a miss" in (out / "report.html").read_text()
    edited.write_text(trial.read_text().replace('"50 mg', '"60 mg'))
    with pytest.raises(vt.VtrialError, match=r"arms\.low\.dose is .*60 mg.*50 mg"):
        use("report", out, "--protocol", edited)
    shard = next((out / "record.zarr/arms/high/outcomes/outcome").glob("c.*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    told = use("doctor", out, code=MISSED)
    assert shard.name in told
    assert f"vtrial run {trial}" in told
    with pytest.raises(vt.VtrialError, match="as it was written"):
        use("report", out, "--check")
    use("run", trial, "--out", out, "--workers", 0)
    use("report", out, "--check")


@pytest.fixture
def opened(monkeypatch):
    """What a browser is asked to show; none is started."""
    addresses = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda a: addresses.append(a) or True)
    return addresses


@pytest.mark.slow
def test_compare_two_runs(trial, tmp_path, opened):
    one, two = tmp_path / "one", tmp_path / "two"
    use("run", trial, "--out", one, "--workers", 0, "--no-report")
    trial.write_text(TRIAL.replace("100 mg", "150 mg"))
    use("run", trial, "--out", two, "--workers", 0, "--no-report")
    printed = use("compare", one, two, "--open")
    assert "What differs in the design" in printed
    assert "150 mg every 24 h" in printed
    pages = list(tmp_path.glob("compared-*/compare.html"))
    assert opened == [pages[0].as_uri()]
    use("report", one, "--open")
    assert opened[1] == (one / "report.html").as_uri()
    data = json.loads(use("compare", one, two, "--out", tmp_path / "c", "--json"))
    assert data["page"] == str(tmp_path / "c" / "compare.html")
    assert {row["arm"] for row in data["endpoints"]} == {"low", "high"}
    ratio = data["contrasts"][0]
    assert ratio["difference"] == pytest.approx(ratio["a"] * 0.5, rel=1e-6)


def test_refused_run_leaves_nothing(trial, tmp_path):
    trial.write_text(TRIAL.replace("cohort: adults", "cohort: adult"))
    done = shell("run", trial, "--out", tmp_path / "out")
    assert done.returncode == WRONG
    assert "adults" in done.stderr, "the nearest cohort is named"
    assert not (tmp_path / "out").exists()


def test_simulate_writes_a_row_an_observation(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text(
        "ID,TIME,AMT,EVID,CMT,DV,WT\n"
        "1,0,100,1,1,.,70\n1,1,.,0,2,.,70\n1,4,.,0,2,.,70\n2,0,50,1,1,.,80\n2,2,0,0,2,0,80\n"
    )
    out = tmp_path / "predictions.csv"
    use("simulate", "one-compartment-oral", "--data", events, "--out", out)
    table = pd.read_csv(out)
    assert table["ID"].tolist() == [1, 1, 2]
    assert table["TIME"].tolist() == [1, 4, 2]
    assert (table["conc"] > 0).all()


def test_simulate_writes_names_and_carried_columns_as_they_stand(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text(
        "ID,TIME,AMT,DV,WT,STUDY,SITE\n"
        "007,0,100,.,70,A,01\n007,1,.,4.2,70,A,01\n7,2,.,BLQ,70,B,02\n"
    )
    out = tmp_path / "predictions.csv"
    use("simulate", "one-compartment-oral", "--data", events, "--out", out)
    header, *rows = out.read_text().splitlines()
    assert header == "ID,TIME,conc,DV,STUDY,SITE"
    assert [row.split(",")[0] for row in rows] == ["007", "7"]
    assert [row.split(",")[3:] for row in rows] == [
        ["4.2", "A", "01"],
        ["BLQ", "B", "02"],
    ]


def test_simulate_refuses_a_wrong_row_and_writes_nothing(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("ID,TIME,AMT,EVID,CMT,WT\n1,0,-100,1,1,70\n1,1,0,7,2,70\n")
    out = tmp_path / "predictions.csv"
    done = shell("simulate", "one-compartment-oral", "--data", events, "--out", out)
    assert done.returncode == WRONG
    assert "events.csv:2" in done.stderr
    assert "events.csv:3" in done.stderr
    assert not out.exists()


@pytest.mark.slow
def test_model_and_cohort_say_what_they_are():
    assert "docetaxel-neutropenia" in use("model").split()
    assert "d/dt(central)" in use("model", "one-compartment-oral")
    assert json.loads(use("model", "theophylline", "--json"))["name"] == "theophylline"
    assert "WT" in use("cohort", "adults", "--subjects", 50)
    names = [row["name"] for row in json.loads(use("cohort", "adults", "--json"))]
    assert "BMI" in names


@pytest.mark.slow
def test_every_library_model_is_listed_with_its_method_and_why():
    lines = dict(line.split(None, 1) for line in use("model").splitlines())
    assert sorted(lines) == sorted(vt.model.library())
    data = {row["model"]: row for row in json.loads(use("model", "--json"))}
    for name, words in lines.items():
        model = vt.load_model(name)
        choice = vt.solver.choose(model, vt.solver.Numerics())
        assert words == choice.words == data[name]["words"]
        assert data[name]["states"] == len(model.states)


@pytest.mark.parametrize("name", vt.model.library())
def test_a_model_says_how_it_is_solved_and_what_its_jacobian_is(name):
    model, told = vt.load_model(name), use("model", name)
    assert vt.solver.choose(model, vt.solver.Numerics()).words in told
    assert model.states or "none, for there are no states" in told
    pattern = model.structure.pattern
    size = len(model.states) ** 2
    zeros = size - sum(sum(row) for row in pattern)
    linear, states = ", ".join(model.structure.linear), ", ".join(model.states)
    assert not model.states or f"{zeros} of {size} entries are always zero" in told
    assert f"Linear, with constant rates: {linear}" in told or not linear
    assert f"States: {states}" in told or not states
    for output in model.outputs:
        assert f"{output.name} is read from" in told


@pytest.mark.parametrize("kind", SHAPES)
def test_schema_accepts_the_shipped_sheets(kind):
    from jsonschema import Draft202012Validator
    from ruamel.yaml import YAML

    schema = json.loads(use("schema", kind))
    Draft202012Validator.check_schema(schema)
    root = Path(__file__).parents[2]
    where = {"protocol": "protocols", "cohort": "cohorts"}
    where |= {"model": "vtrial/model/library"}
    sheets = sorted((root / where.get(kind, "none")).glob("*.yaml"))
    sheets.append(root / f"vtrial/cli/templates/{kind}.yaml")
    for sheet in sheets:
        data = json.loads(json.dumps(YAML(typ="safe").load(sheet.read_text())))
        Draft202012Validator(schema).validate(data)


def test_unknown_names_get_the_nearest(tmp_path):
    done = shell("model", "docetaxel-neutropenai", cwd=tmp_path)
    assert done.returncode == WRONG
    assert "docetaxel-neutropenia" in done.stderr
    assert shell("modle").returncode == WRONG


def test_version():
    assert use("--version").strip() == f"vtrial {vt.__version__}"


def test_plan_foretells_time_and_memory_by_a_small_block(trial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert "--measure" in use("plan", trial)
    assert "8 subjects tried here" in use("plan", trial, "--measure")
    found = json.loads(use("plan", trial, "--measure", "--json"))["measured"]
    assert found["subjects"] == 8
    assert found["seconds"] >= found["each"] * 16 > 0
    assert found["held"] > 1e8
    assert json.loads(use("plan", trial, "--json"))["measured"] is None
    assert set(tmp_path.iterdir()) == before
