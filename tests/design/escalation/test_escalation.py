"""Dose escalations as they are enacted."""

import functools

import numpy as np
import pytest

from vtrial.design.escalation import (
    characteristics,
    crm_update,
    enact_escalation,
    enact_late_toxicity,
    escalation_method,
    exact_escalation,
    methods,
    next_dose,
    select_dose,
    skeleton,
    toxicity_of,
)
from vtrial.design.escalation.enact import TOGETHER
from vtrial.errors import ProtocolError

TRUTH = np.array([0.05, 0.15, 0.3, 0.5])
REPLICATES = 1000
OPTIONS = {
    "3+3": {},
    "TPI": {"target": 0.25},
    "mTPI": {"target": 0.3},
    "mTPI-2": {"target": 0.3},
    "i3+3": {"target": 0.3},
    "BOIN": {"target": 0.3},
    "CRM": {"target": 0.3},
    "BLRM": {"amounts": (1, 2, 4, 8), "reference": 4},
    "EWOC": {"target": 0.3, "amounts": (1, 2, 4, 8)},
}


@functools.cache
def drawn(count=REPLICATES, purpose="tolerance"):
    return toxicity_of(
        TRUTH, seed=2, replicate=np.arange(count), subjects=24, purpose=purpose
    )


def method_of(word):
    return escalation_method(word, doses=4, options=OPTIONS[word])


def test_every_method_is_tried():
    assert set(OPTIONS) | {"BOIN12", "BOIN-comb"} == set(methods())
    for word, kind in methods().items():
        assert kind.says, word
        assert kind.sources, word


BY_DEFAULT = ("BOIN", "CRM")
EACH = [
    word if word in BY_DEFAULT else pytest.param(word, marks=pytest.mark.slow)
    for word in OPTIONS
]


@pytest.mark.parametrize("word", EACH)
def test_simulated_trials_agree_with_all_that_can_happen(word):
    method = method_of(word)
    made = characteristics(enact_escalation(method, drawn(), most=12))
    exact = exact_escalation(method, TRUTH, most=12)
    assert abs(exact.selected.sum() + exact.none - 1) < 1e-12
    np.testing.assert_allclose(exact.toxic, TRUTH * exact.treated, rtol=1e-9)
    error = np.sqrt(exact.selected * (1 - exact.selected) / REPLICATES)
    assert (np.abs(made.selected - exact.selected) <= 3.5 * error + 1e-3).all()
    assert (
        np.abs(made.treated - exact.treated) <= 3.5 * made.treated_error + 0.02
    ).all()


def test_a_subject_is_the_same_in_any_trial_and_any_number():
    some = toxicity_of(TRUTH, seed=2, replicate=np.array([7, 3]), subjects=10)
    np.testing.assert_array_equal(some, drawn()[[7, 3], :10])
    assert (np.diff(some.astype(int), axis=2) >= 0).all()
    assert (drawn(purpose="response")[:2] != drawn()[:2]).any()


def test_trials_do_not_depend_on_their_company():
    method = method_of("BOIN")
    many = np.concatenate([drawn()] * 3)
    assert len(many) > TOGETHER
    whole, few = enact_escalation(method, many), enact_escalation(method, drawn()[:5])
    np.testing.assert_array_equal(whole.given[:5], few.given)
    np.testing.assert_array_equal(whole.selected[-5:], whole.selected[-1005:-1000])


def test_counts_are_those_of_the_subjects():
    made = enact_escalation(method_of("BOIN"), drawn(), most=20)
    assert made.given.shape == (REPLICATES, 20)  # the last cohort has two
    there = made.given >= 0
    np.testing.assert_array_equal(there.sum(axis=1), made.size)
    at = np.maximum(made.given, 0)[..., None]
    toxic = np.take_along_axis(drawn()[:, :20], at, axis=2)[..., 0] & there
    np.testing.assert_array_equal(toxic.sum(axis=1), made.toxic.sum(axis=1))
    assert (made.toxic <= made.treated).all()


@pytest.mark.slow
def test_a_trial_ends_where_enough_have_had_the_next_dose():
    made = enact_escalation(method_of("BOIN"), drawn(), enough=9)
    assert made.treated.max() == 9
    assert made.stopped.any()


@pytest.mark.parametrize("word", [one for one in EACH if one != "BOIN"])
def test_no_dose_is_passed_over_unless_it_may_be(word):
    path = enact_escalation(method_of(word), drawn()[:200]).path
    steps = np.diff(path, axis=1)
    assert steps[path[:, 1:] >= 0].max() == 1


@pytest.mark.parametrize("word", EACH)
def test_the_lowest_dose_can_be_too_toxic(word):
    toxic = np.ones((1, 24, 4), int)
    method = method_of(word)
    if word == "CRM":
        method = escalation_method("CRM", doses=4, target=0.3, stop=0.9)
    made = enact_escalation(method, toxic)
    if word == "EWOC":  # its lowest dose is below the tolerated one by assumption
        assert (made.treated[0, 1:] == 0).all()
    else:
        assert made.stopped.all()
        assert made.selected[0] == -1


@pytest.mark.slow
def test_decisions_of_mtpi2_and_i33():
    """At 0.3 +- 0.05: 3 of 6 de-escalate by mTPI-2, but not by mTPI (Guo 2017)."""
    treated, toxic = np.array([3, 6, 0, 0]), np.array([0, 3, 0, 0])
    decided = {
        word: int(next_dose(method_of(word), treated, toxic, np.array(1)).dose)
        for word in ("mTPI", "mTPI-2", "i3+3")
    }
    assert decided == {"mTPI": 1, "mTPI-2": 0, "i3+3": 0}


def test_late_toxicity_that_is_waited_for_is_no_longer_late():
    method = method_of("CRM")
    time = np.where(drawn()[:200], 5.0, np.inf)
    slow = np.broadcast_to(np.arange(24) * 11.0, (200, 24))
    made = enact_late_toxicity(method, time, slow, window=10)
    waited = enact_escalation(method, drawn()[:200], cohort=1)
    np.testing.assert_array_equal(made.given, waited.given)
    np.testing.assert_array_equal(made.selected, waited.selected)
    fast = enact_late_toxicity(method, time, slow / 6, window=10)
    assert (fast.given != made.given).any()
    np.testing.assert_array_equal(fast.toxic <= fast.treated, True)


def test_efficacy_and_toxicity_make_the_dose():
    """The third dose is worth most: 60 of 100 respond there, 10 with toxicity."""
    replicate = np.arange(REPLICATES)
    toxic = np.array([0.02, 0.05, 0.1, 0.5])
    useful = np.array([0.05, 0.2, 0.6, 0.6])
    toxicity = toxicity_of(toxic, seed=1, replicate=replicate, subjects=36)
    efficacy = toxicity_of(
        useful, seed=1, replicate=replicate, subjects=36, purpose="response"
    )
    method = escalation_method("BOIN12", doses=4, target=0.35, response=0.25)
    made = enact_escalation(method, toxicity, efficacy=efficacy)
    share = characteristics(made).selected
    assert share.argmax() == 2
    assert share[2] > 0.7
    picked = select_dose(method, made.treated, made.toxic, responded=made.responded)
    np.testing.assert_array_equal(picked[~made.stopped], made.selected[~made.stopped])


def test_overdosing_and_correct_selection():
    made = enact_escalation(method_of("BOIN"), drawn())
    found = characteristics(made, probabilities=TRUTH, target=0.3)
    over = made.treated[:, 3] / made.size
    assert abs(found.overdosed - over.mean()) < 1e-12
    assert abs(found.correct - (made.selected == 2).mean()) < 1e-12
    expected = np.sqrt(found.correct * (1 - found.correct) / REPLICATES)
    assert abs(found.correct_error - expected) < 1e-12


def test_maximum_likelihood_waits_for_different_outcomes():
    guesses = skeleton(0.3, doses=4, guess=1, halfwidth=0.05)
    made = crm_update(
        guesses, np.array([0, 1]), np.array([False, False]), target=0.3, by="mle"
    )
    assert np.isnan(made.estimate)
    assert made.dose == -1
    method = escalation_method("CRM", doses=4, target=0.3, by="mle")
    path = enact_escalation(method, np.zeros((1, 12, 4), int)).path
    np.testing.assert_array_equal(path[0], [0, 1, 2, 3])


def test_sentences_say_the_options():
    assert "0.18" in method_of("BOIN").sentence
    assert "0.25" in method_of("EWOC").sentence


def _late(method):
    times = np.full((1, 3, 4), np.inf)
    return enact_late_toxicity(method, times, np.zeros((1, 3)), window=5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: escalation_method("boin", doses=3), "one of 3[+]3, TPI"),
        (lambda: escalation_method("BOIN", doses=3), "target is missing.*target: 0.3"),
        (lambda: escalation_method("BOIN", doses=3, target=2.0), "below 1"),
        (
            lambda: escalation_method("BOIN", doses=3, target=0.3, safe=0.4),
            "below the target",
        ),
        (
            lambda: escalation_method("CRM", doses=3, target=0.3, skeleton=(0.1, 0.2)),
            "2 numbers for 3 doses",
        ),
        (
            lambda: escalation_method("mTPI", doses=3, target=0.3, colour=1),
            "no option of mTPI",
        ),
        (
            lambda: enact_escalation(method_of("3+3"), drawn(), cohort=2),
            "3 for 3[+]3.*cohort: 3",
        ),
        (lambda: enact_escalation(method_of("BOIN"), drawn(), most=30), "24 subjects"),
        (lambda: enact_escalation(method_of("BOIN"), drawn(), start=4), "from 0 to 3"),
        (
            lambda: enact_escalation(method_of("BOIN"), drawn() * 2.0),
            "0 or 1 throughout",
        ),
        (
            lambda: enact_escalation(
                escalation_method("BOIN12", doses=4, target=0.35, response=0.25),
                drawn(),
            ),
            "looks at responses",
        ),
        (lambda: _late(method_of("BOIN")), "method: CRM"),
        (
            lambda: next_dose(
                method_of("BOIN"), np.ones(4), 2 * np.ones(4), np.array(0)
            ),
            "number treated",
        ),
        (lambda: skeleton(0.3, doses=4, guess=9, halfwidth=0.05), "from 0 to 3"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ProtocolError, match=words):
        call()
