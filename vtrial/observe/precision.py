"""What single precision costs: the same subjects solved in 32 and in 64 bits."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vtrial.cohort.subjects import Subjects
from vtrial.observe.block_program import Trial
from vtrial.observe.bringing import Identity
from vtrial.protocol.protocol import Arm

FLOOR = 1e-3  # of a subject's peak; an error below it is measured by it
TINY = 1e-30  # a peak of nothing divides by no zero


class Solved(NamedTuple):
    """One arm's true outputs by name, (subject, time), and how each solution ended."""

    outputs: Mapping[str, Float[np.ndarray, "subject time"]]
    status: Int[np.ndarray, " subject"]


def precision_error(trial: Trial, subjects: int) -> dict[str, object]:
    """Measure the error of 32 bits on the first subjects of the first replicate.

    They get inputs, doses and observation times once and are solved under every arm
    in both precisions, by the same method and tolerances. What is found depends on
    the trial only, not on blocks or workers.

    Returns
    -------
    Plain data: `subjects` and `arms` compared; `solutions`, and in how many of them
    the `status` differs; `floor`; by output the `max` and the `median` relative error
    over subjects, arms and times, and how many `values` were compared. Errors are
    None where there is nothing to compare.
    """
    protocol = trial.protocol
    number = np.arange(subjects)
    people = trial.drawn(Identity(np.zeros_like(number), number))
    pairs = [
        [_solved(trial, arm, people, number, bits) for bits in (32, 64)]
        for arm in protocol.arms
    ]
    names = [output.name for output in protocol.model.outputs]
    return {
        "subjects": number.size,
        "arms": len(pairs),
        "solutions": number.size * len(pairs),
        "status": sum(int((a.status != b.status).sum()) for a, b in pairs),
        "floor": FLOOR,
        "outputs": {name: _error(name, pairs) for name in names},
    }


def relative_error(
    found: Float[np.ndarray, "subject time"], wanted: Float[np.ndarray, "subject time"]
) -> Float[np.ndarray, " value"]:
    """Return errors relative to the wanted values, but not below the floor of each row.

    Values that are missing in either, or nothing in both, are left out.

    Examples
    --------
    >>> relative_error(np.array([[101.0, 1e-4]]), np.array([[100.0, 0.0]]))
    array([0.01 , 0.001])
    """
    found, wanted = (np.asarray(values, np.float64) for values in (found, wanted))
    there = np.isfinite(found) & np.isfinite(wanted)
    size = np.where(there, np.abs(wanted), 0.0)
    peak = size.max(axis=1, keepdims=True, initial=0.0)
    scale = np.maximum(np.maximum(size, FLOOR * peak), TINY)
    there &= (found != 0) | (wanted != 0)
    return np.abs(found - wanted)[there] / scale[there]


def _solved(
    trial: Trial, arm: Arm, people: Subjects, chosen: np.ndarray, bits: Literal[32, 64]
) -> Solved:
    """Solve the sample under one arm."""
    numerics = dataclasses.replace(trial.protocol.numerics, precision=bits)
    path = trial.course(arm, people, chosen, numerics).path
    outputs = {k: np.asarray(v)[: chosen.size] for k, v in path.outputs.items()}
    return Solved(outputs, np.asarray(path.status)[: chosen.size])


def _error(name: str, pairs: list[list[Solved]]) -> dict[str, object]:
    """Pool an output's errors over subjects, arms and times."""
    errors = np.concatenate(
        [relative_error(a.outputs[name], b.outputs[name]) for a, b in pairs]
    )
    if not errors.size:
        return {"max": None, "median": None, "values": 0}
    return {
        "max": float(errors.max()),
        "median": float(np.median(errors)),
        "values": errors.size,
    }
