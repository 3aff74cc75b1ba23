"""Nothing compiles twice: a second block of the same shape compiles nothing."""

import jax
import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct.allocated import arms_of
from vtrial.conduct.task import rows_of
from vtrial.observe.block_program import Trial

SHEET = """
protocol: traced
model: one-compartment-oral
cohort: adults
subjects: 96
replicates: 4
seed: 3
block: 96
arms:
  low: {dose: "50 mg every 24 h x 3"}
  high: {dose: "100 mg every 24 h x 3"}
visits:
  profile: {at: "48 h, 50 h, 72 h", window: 10 min, measure: [conc]}
design:
  randomisation: {permuted block: 4}
endpoints:
  peak: {of: conc, take: maximum, within: "48 h to 72 h"}
"""
COMPILE = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled(monkeypatch):
    """Count what is compiled, as JAX itself reports it."""
    found = []

    def note(name, seconds, **_about):
        if name == COMPILE:
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.fixture
def trial(tmp_path):
    (tmp_path / "traced.yaml").write_text(SHEET)
    planned = vt.plan(vt.load_protocol(tmp_path / "traced.yaml"))
    return Trial(planned.protocol, planned.cohort)


def test_a_second_block_compiles_nothing(trial, compiled):
    rows_of(trial, 0)
    assert compiled, "the count counts"
    compiled.clear()
    rows_of(trial, 1)
    rows_of(trial, 2)
    assert compiled == []


def test_arms_that_differ_in_amounts_share_every_program(trial, compiled):
    who = trial.identity(0)
    people, arms = trial.people(who), arms_of(trial, who)
    low, high = ((arms == index).nonzero()[0] for index in (0, 1))
    trial.observe(trial.protocol.arms[0], people, low)
    compiled.clear()
    trial.observe(trial.protocol.arms[1], people, high)
    assert compiled == []


RULES = """
rules:
  down: {{when: conc > {limit}, do: reduce by {share} %}}
"""


def test_rules_with_other_numbers_compile_nothing(tmp_path, compiled):
    found = []
    for limit, share in ((0.5, 20), (0.6, 40)):
        text = SHEET + RULES.format(limit=limit, share=share)
        (tmp_path / "traced.yaml").write_text(text)
        planned = vt.plan(vt.load_protocol(tmp_path / "traced.yaml"))
        compiled.clear()
        found.append(rows_of(Trial(planned.protocol, planned.cohort), 0))
    assert compiled == []
    amounts = [one["arms/high/doses/amount"] for one in found]
    assert not np.array_equal(*amounts, equal_nan=True)
