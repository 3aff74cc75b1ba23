"""The dosing words: what they mean, and how what cannot be given is refused."""

import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.dosing.expansion import expand
from vtrial.dosing.grammar import CLAUSES, KEYWORDS, MAX_LENGTH
from vtrial.dosing.words import MAX_DOSES, parse_regimen
from vtrial.errors import DosingError
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model

EQUATIONS = """
d/dt(depot) = -depot
d/dt(central) = depot - central
rate(central) = 3
duration(central) = 2
"""
MODEL = Model(
    "pill",
    parse_model(EQUATIONS),
    covariates=(Covariate("WT", "kg"),),
    molar_mass=200.0,
)
KNOWN = ("BSA", "DOSE", "FEMALE")
WHO = {
    "WT": jnp.array([40.0, 75.0, 90.0]),
    "BSA": jnp.array([1.5, 1.8, 2.0]),
    "DOSE": jnp.array([10.0, 20.0, 30.0]),
    "FEMALE": jnp.array([0.0, 1.0, 0.0]),
}


def read(text, model=MODEL):
    return parse_regimen(text, model=model, known=KNOWN)


def schedule(text, subject=0):
    """List (time, amount) of a subject's doses."""
    doses = expand(read(text), WHO)
    row = min(subject, doses.time.shape[0] - 1)
    return list(zip(doses.time[row].tolist(), doses.amount[row].tolist(), strict=True))


def faults(text, model=MODEL):
    with pytest.raises(DosingError) as caught:
        read(text, model)
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("100 mg", [0]),
        ("100 mg every 24 h x 4", [0, 24, 48, 72]),
        ("100mg every 24h x4", [0, 24, 48, 72]),
        ("100 mg every 12 h for 2 d", [0, 12, 24, 36]),
        ("100 mg every 7 d for 3 weeks", [0, 168, 336]),
        ("100 mg every 8 h for 20 h", [0, 8, 16]),
        ("100 mg at 12 h", [12]),
        ("100 mg at day 3", [72]),
        ("100 mg at day 1, day 8, 200 h", [24, 192, 200]),
        ("100 mg every 24 h x 2 from day 7", [168, 192]),
        ("100 mg at day 0, day 7 every 28 d x 2", [0, 168, 672, 840]),
        ("0 mg every 1 month x 3", [0, 730.5, 1461]),
        ("100 mg every 24 h x 2 every 7 d x 2", [0, 24, 168, 192]),
        ("100 mg then 50 mg every 24 h x 2", [0, 24, 48]),
        ("100 mg every 12 h x 2 then 50 mg every 24 h x 2", [0, 12, 24, 48]),
        ("100 mg then 50 mg every 24 h x 2 after 12 h", [0, 12, 36]),
        ("100 mg then 50 mg every 24 h x 2 from day 7", [0, 168, 192]),
        ("100 mg every 24 h x 2 and 50 mg at 12 h", [0, 12, 24]),
        (["100 mg every 24 h x 2", "50 mg at 12 h"], [0, 12, 24]),
    ],
)
def test_times(text, times):
    assert [time for time, _ in schedule(text)] == pytest.approx(times)


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("100 mg", [100, 100, 100]),
        ("0.1 g", [100, 100, 100]),
        ("500 umol", [100, 100, 100]),
        ("5 mg/kg", [200, 375, 450]),
        ("60 mg/m2", [90, 108, 120]),
        ("2.5 umol/kg", [20, 37.5, 45]),
        ("DOSE mg", [10, 20, 30]),
        ("(0.5*WT + 20) mg", [40, 57.5, 65]),
        ("(if(FEMALE == 1, 4, 5)) mg/kg", [200, 300, 450]),
        ("5 mg/kg up to 400 mg", [200, 375, 400]),
        ("5 mg/kg at least 250 mg", [250, 375, 450]),
        ("5 mg/kg rounded to 50 mg", [200, 400, 450]),
        ("5 mg/kg rounded down to 50 mg", [200, 350, 450]),
        ("5 mg/kg rounded up to 50 mg", [200, 400, 450]),
        ("5 mg/kg rounded to 100 mg up to 320 mg", [200, 320, 320]),
        ("5 mg/kg up to 320 mg rounded to 100 mg", [200, 300, 300]),
        ("by WT: 100 mg below 50, 150 mg below 80, else 200 mg", [100, 150, 200]),
        ("by WT: 100 mg <= 40, 0 mg ≤ 75, else 200 mg", [100, 0, 200]),
        ("by WT: 1 mg/kg below 75, else 200 mg", [40, 200, 200]),
        ("by FEMALE: 80 mg when 1, else 100 mg", [100, 80, 100]),
        ("by DOSE: 1 mg when 10 or 30, else 2 mg", [1, 2, 1]),
    ],
)
def test_amounts(text, amounts):
    doses = expand(read(text), WHO)
    given = np.broadcast_to(doses.amount, (3, 1))[:, 0]
    np.testing.assert_allclose(given, amounts, rtol=1e-12)
    assert doses.amount.shape[0] == (3 if read(text).needs else 1)


def test_rounding_down_and_up_forgives_the_last_bit():
    model = Model("small", parse_model("d/dt(a) = -a"))
    for word in ("down", "up"):
        regimen = parse_regimen(f"0.3 mg rounded {word} to 0.1 mg", model=model)
        assert float(expand(regimen, {}).amount[0, 0]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100 mg", 0.0),
        ("100 mg over 2 h", 50.0),
        ("100 mg over 30 min", 200.0),
        ("100 mg at 10 mg/h", 10.0),
        ("100 mg at 0.24 g/d", 10.0),
        ("100 mg at 0.1 mg/kg/h", 4.0),
        ("5 mg/kg over 2 h", 100.0),
        ("100 mg into central at model rate", -1.0),
        ("100 mg into central over model duration", -2.0),
    ],
)
def test_rates(text, rate):
    assert float(expand(read(text), WHO).rate[0, 0]) == pytest.approx(rate)


def test_compartments_by_name_and_the_first_by_default():
    doses = expand(read("100 mg and 50 mg into central"), WHO)
    assert doses.compartment[0].tolist() == [0, 1]


def test_steady_state_is_that_of_the_first_dose():
    doses = expand(read("100 mg every 12 h x 3 at steady state"), WHO)
    assert doses.steady[0].tolist() == [1, 0, 0]
    assert doses.interval[0].tolist() == [12, 0, 0]
    assert read("100 mg every 12 h at steady state").count == 1


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        (
            "escalating 2.5 mg by 2.5 mg every 2 doses to 7 mg, every 7 d x 8",
            [2.5, 2.5, 5, 5, 7, 7, 7, 7],
        ),
        (
            "escalating 0.1 mg by 0.1 mg every 1 doses to 0.4 mg every 1 d x 4",
            [0.1, 0.2, 0.3, 0.4],
        ),
        (
            "escalating 10 mg by 50 % every 2 doses to 20 mg every 1 d x 6",
            [10, 10, 15, 15, 20, 20],
        ),
        (
            "tapering 16 mg by 50 % every 1 dose to 3 mg every 1 d x 5",
            [16, 8, 4, 3, 3],
        ),
        (
            "tapering 40 mg by 15 mg every 2 doses to 5 mg every 24 h x 7",
            [40, 40, 25, 25, 10, 10, 5],
        ),
        (
            "2.5 mg every 7 d x 2 then 5 mg every 7 d x 2 then 7.5 mg every 7 d x 1",
            [2.5, 2.5, 5, 5, 7.5],
        ),
    ],
)
def test_schedules_that_climb(text, amounts):
    assert [amount for _, amount in schedule(text)] == pytest.approx(amounts)


def test_escalation_by_weight():
    text = "escalating 1 mg/kg by 1 mg/kg every 1 doses to 2 mg/kg every 1 d x 2"
    assert schedule(text, subject=1) == [(0.0, 75.0), (24.0, 150.0)]


def test_what_a_regimen_says_of_itself():
    regimen = read("60 mg/m2 over 1 h every 21 d x 6")
    assert regimen.needs == ("BSA",)
    assert regimen.end == 6 * 504
    assert regimen.interval == 504
    assert regimen.words == (
        "60 mg/m2 over 1 h every 21 d x 6 into depot (6 doses, from day 0 to day 105)"
    )
    assert read("100 mg at 30 h").words.endswith("(one dose, at 30 h)")
    same = read("60 mg/m2 over 1 h every 21 d x 6")
    assert regimen == same
    assert hash(regimen) == hash(same)


@pytest.mark.parametrize(
    ("words", "amount", "unit", "interval", "changed"),
    [
        ("100 mg every 12 h x 7", 100, "mg", 12, False),
        ("0.2 g", 200, "mg", 0, False),
        ("60 mg/m2 over 1 h every 21 d x 6", 60, "mg/m2", 504, False),
        ("5 mg/kg up to 400 mg rounded to 50 mg every 1 d x 3", 5, "mg/kg", 24, 0),
        (
            "escalating 2.5 mg by 2.5 mg every 4 doses to 15 mg, every 7 d x 72",
            *(15, "mg", 168, True),
        ),
        (
            "escalating 2.5 mg by 2.5 mg every 4 doses to 15 mg, every 7 d x 8",
            *(5, "mg", 168, True),
        ),
        (
            "tapering 4 mg/kg by 50 % every 1 dose to 1 mg/kg every 1 d x 5",
            *(1, "mg/kg", 24, True),
        ),
        ("200 mg then 100 mg every 24 h x 6", 100, "mg", 24, True),
        (["200 mg", "100 mg every 24 h x 6"], 100, "mg", 24, True),
        (["60 mg into depot every 1 d x 3"] * 2, 120, "mg", 24, False),
        ("30 mg at 0 h, 168 h every 21 d x 4", 30, "mg", 0, False),
        (["20 mg every 24 h x 7", "5 mg every 8 h x 21"], None, "", 0, False),
        (["20 mg", "1 mg/kg"], None, "", 0, False),
        ("(2 * DOSE) mg every 24 h x 7", None, "", 0, False),
        ("(5 + DOSE) mg/kg", None, "", 0, False),
        ("by FEMALE: 10 mg when 1, else 20 mg", None, "", 0, False),
    ],
)
def test_a_regimen_names_the_dose_that_it_comes_to(
    words, amount, unit, interval, changed
):
    found = read(words).nominal()
    if amount is None:
        assert found is None
        return
    assert found[:4] == (pytest.approx(amount), unit, interval, ("depot",))
    assert found.changed == changed


def test_the_outer_interval_is_the_cycle():
    regimen = read("100 mg every 24 h x 21 every 28 d x 6")
    assert regimen.interval == 28 * 24
    assert regimen.end == 6 * 28 * 24
    assert regimen.count == 126


def test_the_models_weight_may_be_in_grams():
    model = Model(
        "small", parse_model("d/dt(a) = -a"), covariates=(Covariate("WT", "g"),)
    )
    regimen = parse_regimen("5 mg/kg", model=model)
    doses = expand(regimen, {"WT": jnp.array([3000.0])})
    assert float(doses.amount[0, 0]) == pytest.approx(15.0)


def test_amounts_in_moles():
    model = Model("m", parse_model("d/dt(a) = -a"), amount="umol", molar_mass=500.0)
    doses = expand(parse_regimen("1 mg", model=model), {})
    assert float(doses.amount[0, 0]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "column", "found", "write"),
    [
        ("100 mg evry 24 h x 3", 8, "`evry`", "every"),
        ("100 mg every", 13, "the end", ""),
        ("100 mg every 24 h x 3 then", 27, "the end", ""),
        ("100 mgg", 5, "`mgg`", ""),
        ("100 L", 5, "`100 L`", ""),
        ("100", 1, "`100`", ""),
        ("-100 mg", 1, "`-100 mg`", ""),
        ("0 mL", 3, "`0 mL`", ""),
        ("100 mg rounded to 0 mg", 19, "`0 mg`", ""),
        ("1e999 mg", 1, "`1e999 mg`", ""),
        ("100 mg every 0 h x 3", 14, "`0 h`", ""),
        ("100 mg every 24 mg x 3", 17, "`24 mg`", ""),
        ("100 mg every 24 h", 8, "without saying how often", ""),
        ("100 mg x 6", 8, "without an `every`", ""),
        ("100 mg every 24 h x 2.5", 19, "`x 2.5`", ""),
        ("100 mg every 24 h x 0", 19, "0 doses", ""),
        ("100 mg every 1 s x 1000000", 18, "doses", ""),
        ("100 mg at -5 h", 11, "`-5 h`", ""),
        ("100 mg at day 8, day 1", 8, "out of order", ""),
        ("100 mg at day 1, day 1", 8, "same time twice", ""),
        ("100 mg into cental", 8, "`into cental`", "into central"),
        ("100 mg over 1 h at 5 mg/h", 17, "after `over`", ""),
        ("100 mg at day 1 from day 2", 17, "after `at`", ""),
        ("100 mg over model duration", 8, "no `duration(depot)`", ""),
        ("100 mg over 0 h", 13, "`0 h`", ""),
        ("100 mg then 50 mg", 13, "without an interval", ""),
        ("100 mg after 12 h", 8, "without a `then`", ""),
        ("100 mg at 48 h then 50 mg at 12 h", 21, "before what it follows", ""),
        ("100 mg at steady state", 8, "without an interval", ""),
        ("100 mg every 24 h x 9 every 7 d x 2", 1, "192 h long", ""),
        ("HEIGHT mg", 1, "`HEIGHT`", ""),
        ("DOS mg", 1, "`DOS`", "DOSE"),
        ("(0.5*WTT) mg", 6, "`WTT`", "WT"),
        ("(0.5*) mg", 6, "the end", ""),
        ("(0.5*WT mg", 1, "without its `)`", ""),
        ("(foo(WT)) mg", 2, "`foo(`", ""),
        ("by WT: 100 mg below 80, 50 mg below 50, else 1 mg", 1, "80, 50", ""),
        ("by WTX: 100 mg below 80, else 1 mg", 4, "`WTX`", "WT"),
        (
            "escalating 5 mg by 1 mg every 4 doses to 2 mg, every 7 d x 9",
            42,
            "to 2 mg",
            "",
        ),
        ("every 24 h", 1, "`every`", ""),
        ("100 mg; 50 mg", 7, "`;`", ""),
        ("100 mg ~ 5", 8, "`~`", ""),
    ],
)
def test_refused(text, column, found, write):
    fault = faults(text)[0]
    assert fault.column == column
    assert found in fault.found
    assert write in fault.write
    assert fault.allowed


def test_body_surface_must_be_known():
    fault = pytest.raises(DosingError, parse_regimen, "60 mg/m2", model=MODEL)
    assert "BSA" in str(fault.value)


def test_all_faults_at_once():
    found = faults(["100 mgg every 0 h x 2.5", "5 mg into cental", "x y z"])
    assert [fault.at for fault in found].count("dose 1") == 3
    assert {fault.at for fault in found} == {"dose 1", "dose 2", "dose 3"}


@pytest.mark.parametrize("entry", ["", "  ", [], 5, None, {"a": 1}, ["100 mg", 5]])
def test_what_is_no_text_is_refused(entry):
    with pytest.raises(DosingError):
        parse_regimen(entry, model=MODEL)  # type: ignore[arg-type]


def test_a_model_without_states_takes_no_dose():
    model = Model("curve", parse_model("effect = 1"))
    assert "no states" in faults("100 mg", model)[0].found


def test_moles_need_a_molar_mass():
    model = Model("m", parse_model("d/dt(a) = -a"))
    assert "molar_mass" in faults("5 umol", model)[0].allowed


def test_absurd_counts_and_lengths_are_refused_at_once():
    begun = time.process_time()
    faults("100 mg every 1 h x 1000 every 2000 h x 1000 every 3000000 h x 1000")
    faults([f"100 mg every 1 min x {MAX_DOSES}"] * 2)
    faults("100 mg " * MAX_LENGTH)
    faults("(" * (MAX_LENGTH // 2) + ")" * (MAX_LENGTH // 2) + " mg")
    faults("100 mg every 1 h x 2 then " * 700)
    faults("5 mg/kg" + " up to 400 mg" * 1000)
    faults("by WT: 1 mg when 1" + " or 1" * 3000 + ", else 2 mg")
    faults("by WT: " + "".join(f"1 mg below {k}, " for k in range(900)) + "else 2 mg")
    faults("escalating 1 mg by 0.0001 mg every 1 dose to 9 mg every 1 d x 9")
    faults("tapering 9 mg by 100 % every 1 dose to 0 mg every 1 d x 9")
    assert time.process_time() - begun < 10


PIECES = st.sampled_from(
    [
        *KEYWORDS,
        *CLAUSES,
        *("100 mg", "5 mg/kg", "60 mg/m2", "24 h", "x 6", "day 3", "model", "steady"),
        *("state", "least", "rate", "duration", "to", "doses", "or", "WT", "central"),
        *("(WT*2) mg", "(", ")", ",", ":", "0", "-1", "1e999", "nan", "~", "µg", "#"),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=80), st.lists(PIECES, max_size=14).map(" ".join), st.text("(x1 ~")
)


@settings(max_examples=300, deadline=2000)
@given(TEXTS)
def test_no_text_does_anything_but_parse_or_be_refused(text):
    refused = None
    try:
        regimen = parse_regimen(text, model=MODEL, known=KNOWN)
    except DosingError as error:
        refused = error
    if refused:
        assert all(fault.found and fault.allowed for fault in refused.faults)
        assert str(refused)
        return
    doses = expand(regimen, WHO)
    assert doses.time.shape[1] == regimen.count
    assert np.all(np.diff(np.asarray(doses.time[0])) >= 0)
    assert regimen.words


def test_this_room_never_calls_python_on_a_text():
    folder = Path(parse_regimen.__code__.co_filename).parent
    assert not [p for p in folder.glob("*.py") if "literal_eval" in p.read_text()]
