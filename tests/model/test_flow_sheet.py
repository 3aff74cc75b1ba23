"""The sheet of a flow: what is read, and what is refused where."""

import json

import pytest

import vtrial as vt
from vtrial.errors import ModelError, ProtocolError
from vtrial.model.description import describe
from vtrial.protocol.stored import read_protocol, write_protocol
from vtrial.report.design import arms_in_words, endpoint_in_words

SHEET = """model: made-up
kind: flow
arrivals:
  from: "08:00"
  rate: [4, 9*exp(eta.busy), 7, 3]
  classes: {urgent: 0.3, minor: 0.7}
stations:
  triage:
    servers: 1
    service: exponential(4 min)
    then: {urgent: treatment, minor: {treatment: 0.6, out: 0.4}}
  treatment:
    servers: [1, 2, 2, 1]
    order: priority
    service:
      urgent: lognormal(STAY, 0.8)
      minor: deterministic(10 min)
    patience: {minor: exponential(1 h)}
parameters:
  STAY: {value: 0.4, unit: h}
random:
  - {of: busy, sd: 0.2}
outputs:
  wait: {of: wait, take: mean, at: treatment, class: urgent, unit: min}
  late: {of: stay, take: share above 4 h}
  crowd: {of: queue, take: hours above 3}
"""


def told(*pair):
    """Return the faults of the sheet in which something is replaced."""
    assert pair[0] in SHEET
    with pytest.raises(ModelError) as caught:
        vt.load_model(SHEET.replace(*pair))
    return caught.value.faults


def test_a_sheet_is_read():
    model = vt.load_model(SHEET)
    flow = model.flow
    assert (flow.opens, flow.every, flow.closes, flow.order) == (8, 1, 4, (0, 1))
    triage, treatment = flow.stations
    assert (triage.is_pool, treatment.is_pool) == (True, False)
    assert treatment.ranks == (0, 1)
    assert treatment.patience[0] is None
    assert [w.to for w in triage.ways[1]] == [1, -1]
    assert model.typical()["treatment.servers.2"] == 2
    assert [o.unit for o in model.outputs] == ["min", "1", "h"]
    assert [t.scale for t in flow.told] == [60, 1, 1]
    assert model.unit == "department-day"
    assert "treatment: the most urgent is next" in describe(model)
    other = SHEET.replace("servers: 1", "servers: 1 # as ever")
    assert vt.load_model(other) == model
    assert vt.load_model(SHEET.replace("10 min", "11 min")) != model


@pytest.mark.parametrize(
    ("pair", "line", "found", "write"),
    [
        (("{treatment: 0.6,", "{tretment: 0.6,"), 11, "`tretment`", "treatment"),
        (("urgent: treatment", "urgent: ward"), 11, "`ward`, no station", ""),
        (("[1, 2, 2, 1]", "[1, 2, 1]"), 13, "3 numbers of servers", ""),
        (("[1, 2, 2, 1]", "[1, 2, 2, 0]"), 13, "0 in the last piece", ""),
        (("minor: 0.7", "minor: 0.6"), 6, "add up to 0.9", ""),
        (("out: 0.4", "out: 0.5"), 11, "add up to 1.1", ""),
        (
            ("deterministic(10 min)", "weibull(10 min)"),
            17,
            "`weibull(10 min)`, no law",
            "",
        ),
        (
            ("exponential(4", "exponental(4"),
            10,
            "no law",
            "exponential(4 min)",
        ),
        (("STAY, 0.8", "STAY"), 16, "with 1 argument", ""),
        (("lognormal(STAY", "lognormal(STAI"), 16, "`STAI`", "STAY"),
        (("      minor: d", "      # minor: d"), 15, "without a law for `minor`", ""),
        (
            ("order: priority", "order: preemptive priority"),
            14,
            "preemptive",
            "priority",
        ),
        (("order: priority", "order: random"), 14, "`random`", ""),
        (("take: mean", "take: median"), 24, "`median`", ""),
        (("class: urgent", "class: urgnt"), 24, "no class", "urgent"),
        (("unit: min", "unit: mg"), 24, "`mg`", ""),
        (("rate: [4,", "rate: [-4,"), 5, "-4", ""),
        (("exp(eta.busy)", "1"), 22, "no number reads", ""),
        (
            ("    patience", "    then: triage\n    patience"),
            7,
            "go round",
            "",
        ),
        (("kind: flow", "kind: queue"), 2, "`queue`", ""),
    ],
)
def test_wrong_sheets_are_refused_with_line_and_remedy(pair, line, found, write):
    faults = told(*pair)
    fitting = [f for f in faults if found in f.found]
    assert fitting, [str(fault) for fault in faults]
    assert fitting[0].line == line
    assert fitting[0].write == write
    assert fitting[0].allowed


PROTOCOL = """protocol: rotas
model: clinic.yaml
cohort: alike
subjects: 4
arms:
  one: {}
  two: {set: {treatment.servers: [1, 3, 3, 1], arrivals.scale: 1.3}}
endpoints:
  wait: {of: wait}
"""


@pytest.fixture
def beside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clinic.yaml").write_text(SHEET)


@pytest.mark.usefixtures("beside")
def test_arms_set_rotas():
    one, two = vt.load_protocol(PROTOCOL).arms
    assert one.set == ()
    assert two.sets == ("treatment.servers", "arrivals.scale")
    assert [value.value for _, value in two.set] == [1, 3, 3, 1, 1.3]


@pytest.mark.usefixtures("beside")
def test_a_record_keeps_a_flow_whole():
    protocol = vt.load_protocol(PROTOCOL)
    kept = read_protocol(json.loads(json.dumps(write_protocol(protocol))))
    assert kept.model.flow == protocol.model.flow
    assert kept.model.digest == protocol.model.digest


@pytest.mark.usefixtures("beside")
def test_an_endpoint_of_a_day_is_its_value_at_the_end():
    protocol = vt.load_protocol(
        PROTOCOL + "  long: {of: wait, above: 10}\n  twice: {equals: 2*wait}\n"
    )
    wait, long, twice = protocol.endpoints
    assert (wait.take, wait.start, wait.end, wait.values) == ("value", 4, 4, "true")
    assert (long.above, long.binary, twice.of) == (10, True, "")
    assert (protocol.grid, protocol.keep.trajectories) == ((4.0,), "nothing")
    assert endpoint_in_words(protocol, wait) == "wait of a department-day"
    said = "share of department-days with wait of a department-day, above 10"
    assert endpoint_in_words(protocol, long).startswith(said)
    treatments = [arm.treatment for arm in arms_in_words(protocol)]
    assert treatments[0] == "as the model has it"
    assert treatments[1].startswith("sets treatment.servers = 1, 3, 3 and 1; ")


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    ("pair", "found"),
    [
        (("[1, 3, 3, 1]", "[1, 3, 1]"), "3 numbers of servers"),
        (("[1, 3, 3, 1]", "[1, 3, 2.5, 1]"), "`2.5`"),
        (("[1, 3, 3, 1]", "[1, 3, 3, 0]"), "0 in the last piece"),
        (("arrivals.scale: 1.3", "arrivals.scale: [1, 2]"), "a list"),
        (("treatment.servers", "treatmnt.servers"), "an unknown input"),
        (
            (
                "endpoints:",
                "rules:\n  stop: {at: x, when: wait > 1, do: hold}\nendpoints:",
            ),
            "given for a flow",
        ),
        (("treatment.servers:", "treatment.servers.2:"), "one piece of the day"),
        (("[1, 3, 3, 1]", "3, treatment.servers.2: 1"), "one piece of the day"),
        (("scale: 1.3", "scale: -1"), "`-1.0`"),
        (("{of: wait}", "{of: wait, take: maximum}"), "given for a flow"),
        (("{of: wait}", "{of: wait, within: day 0 to day 1}"), "given for a flow"),
        (("{of: wait}", "{of: wait, values: measured}"), "given for a flow"),
        (("{of: wait}", "{of: wait}\nkeep: {trajectories: all}"), "given for a flow"),
        (("{of: wait}", "{of: wait}\ngrid: {every: 1 h}"), "given for a flow"),
    ],
)
def test_wrong_rotas_are_refused(pair, found):
    assert pair[0] in PROTOCOL
    with pytest.raises(ProtocolError) as caught:
        vt.load_protocol(PROTOCOL.replace(*pair))
    assert any(found in f.found and f.line for f in caught.value.faults), caught.value
