"""What is asked of `simulate`: checked and laid out before anything is compiled."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from vtrial.dosing.doses import DOSE, OTHER, RESET, RESET_DOSE, Doses, Times
from vtrial.errors import Fault, SolverError
from vtrial.model.model import Model
from vtrial.sheets.csv_table import is_slip
from vtrial.solver.events import take_up
from vtrial.solver.lanes import Batch
from vtrial.solver.trajectory import State

MOST_OVERLAPS = 1024


def laid_out(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    begin: Float[ArrayLike, "*#subject"] | None,
    periods: Float[ArrayLike, "#subject period"] | None,
    start: State | None,
    until: Float[ArrayLike, "*#subject"] | None,
) -> Batch:
    """Lay out a request as rows of subjects; of arrays only shapes are looked at.

    Raises
    ------
    SolverError
        With everything that is missing, or does not fit together.
    """
    missing = [name for name in model.inputs if name not in inputs]
    if missing:
        raise SolverError.of([_missing(model, name, inputs) for name in missing])
    strange = [name for name in inputs if name not in model.inputs]
    slips = [(name, k) for name in strange for k in model.inputs if is_slip(name, k)]
    if slips:
        raise SolverError.of([_misspelt(model, *slip) for slip in slips])
    given = {name: _real(inputs[name]) for name in model.inputs}
    wide = {k: _wide(v) for k, v in given.items()}
    begun: Any = np.full((1, 1), -np.inf) if periods is None else _real(periods)
    batch = Batch(
        inputs=wide,
        periods=begun.reshape(1, -1) if begun.ndim < 2 else begun,
        doses=_doses(doses),
        times=Times(
            _real(times.time),
            _whole(times.rank),
            None if times.period is None else _whole(times.period),
        ),
        begin=None if begin is None else _real(begin).reshape(-1),
        start=None if start is None else jax.tree.map(_same, start),
        until=None if until is None else _real(until).reshape(-1),
    )
    faults = [*_size_faults(batch), *_column_faults(batch)]
    if model.structure.delays and start is not None and start.past is None:
        faults.append(_pastless(model))
    if faults:
        raise SolverError.of(faults)
    return batch


def _pastless(model: Model) -> Fault:
    return Fault(
        at="start",
        found=f"a State without a past, which the equations of {model.name} read",
        allowed="the end of a stage that was told where it ends",
        write="until=...",
    )


def refuse_doses(model: Model, batch: Batch) -> None:
    """Refuse doses that ask for what there is not; they must be no tracers.

    Raises
    ------
    SolverError
        With everything that is wrong with them.
    """
    doses = batch.doses._replace(period=None)
    fields = {k: np.asarray(v) for k, v in doses._asdict().items() if v is not None}
    shape = np.broadcast_shapes(*(v.shape for v in fields.values()))
    found = {k: np.broadcast_to(v, shape) for k, v in fields.items()}
    real = ~np.isinf(found["time"])
    gives = real & np.isin(found["event"], (DOSE, RESET_DOSE))
    faults = [
        *_code_faults(found, real),
        *_amount_faults(found, gives),
        *(_compartment_faults(model, found, gives) if model.states else ()),
    ]
    if faults:
        raise SolverError.of(faults)


def overlaps_of(model: Model, batch: Batch) -> int:
    """Count how many earlier doses a steady state may have pending or running.

    Lag and duration may depend on the inputs, so they are computed here, once.
    """
    arrays = jax.tree.leaves((batch.inputs, batch.periods, batch.doses))
    count = max(array.shape[0] for array in arrays)

    def full(array: Any) -> Any:
        return jnp.broadcast_to(array, (count, *array.shape[1:]))

    doses = jax.tree.map(full, batch.doses)
    periods = full(batch.periods)
    individual = {
        name: jnp.broadcast_to(value, periods.shape)
        for name, value in model.individual(
            {k: jnp.broadcast_to(v, periods.shape) for k, v in batch.inputs.items()}
        ).items()
    }
    given = take_up(model, individual, doses, periods)
    asks = (doses.steady > 0) & (doses.interval > 0) & jnp.isfinite(doses.time)
    train = (given.delay + given.duration) / jnp.where(asks, doses.interval, 1.0)
    train = np.asarray(jnp.where(asks & jnp.isfinite(train), train, 0.0))
    most = int(np.ceil(train.max(initial=0.0)))
    return min(1 << (most - 1).bit_length() if most > 1 else 1, MOST_OVERLAPS)


def _real(value: Any) -> Any:
    """Return floats, as they are if traced or on a device."""
    if isinstance(value, jax.Array):
        return value.astype(float)
    return np.asarray(value, float)


def _whole(value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value.astype(int)
    return np.asarray(value, int)


def _same(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else np.asarray(value)


def _wide(value: Any) -> Any:
    """Make (subject, period) of a number, (subject) or (subject, period)."""
    return value.reshape(-1, 1) if value.ndim < 2 else value


def _doses(doses: Doses) -> Doses:
    real = ("time", "amount", "rate", "interval")
    laid: dict[str, Any] = {
        name: value if value is None else (_real if name in real else _whole)(value)
        for name, value in doses._asdict().items()
    }
    return Doses(**laid)


def _missing(model: Model, name: str, inputs: Mapping[str, ArrayLike]) -> Fault:
    near = [known for known in inputs if known.lower() == name.lower()]
    instead = f", but `{near[0]}` is given" if near else ""
    return Fault(
        at=f"inputs[{name!r}] of {model.name}",
        found=f"missing{instead}",
        allowed="given: a number or one a subject",
        write=f"inputs | {{{name!r}: ...}}",
    )


def _misspelt(model: Model, name: str, known: str) -> Fault:
    return Fault(
        at=f"inputs[{name!r}] of {model.name}",
        found=f"nearly `{known}`, which is given, too",
        allowed=f"spelt `{known}` or left out",
        write=known,
    )


def _rows(batch: Batch) -> dict[str, int]:
    """Return the number of subjects (rows) in each part of a request."""
    parts: dict[str, Any] = {f"inputs[{k!r}]": v for k, v in batch.inputs.items()}
    parts["periods"] = batch.periods
    for label in ("doses", "times", "start"):
        noun = getattr(batch, label)
        if noun is not None:
            fields = noun._asdict().items()
            parts |= {f"{label}.{k}": v for k, v in fields if k != "past"}
    parts |= {"until": batch.until, "begin": batch.begin}
    return {k: v.shape[0] for k, v in parts.items() if v is not None}


def _size_faults(batch: Batch) -> list[Fault]:
    """Find parts with another number of subjects than the others."""
    rows = _rows(batch)
    count = max(rows.values())
    return [
        Fault(
            at=name,
            found=f"for {size} subjects",
            allowed=f"for 1 or {count}, as the others are",
            write=f"{count} rows",
        )
        for name, size in rows.items()
        if size not in (1, count)
    ]


def _column_faults(batch: Batch) -> list[Fault]:
    """Find inputs with another number of columns than there are periods."""
    columns = batch.periods.shape[1]
    return [
        Fault(
            at=f"inputs[{name!r}]",
            found=f"{value.shape[1]} columns",
            allowed=f"1 or {columns}, the number of periods",
            write="periods=...: when each column begins [h]",
        )
        for name, value in batch.inputs.items()
        if value.shape[1] not in (1, columns)
    ]


def _wrong(
    name: str, values: np.ndarray, mask: np.ndarray, allowed: str, write: str
) -> list[Fault]:
    """List each wrong value once, with the first subject and dose that has it."""
    faults = []
    for value in np.unique(values[mask]):
        places = np.argwhere(mask & (values == value))
        more = f", and {len(places) - 1} times more" if len(places) > 1 else ""
        subject, dose = places[0]
        at = f"doses.{name}[{subject}, {dose}]"
        faults.append(Fault(at, f"{value:g}{more}", allowed, write))
    return faults


def _code_faults(doses: Mapping[str, np.ndarray], real: np.ndarray) -> list[Fault]:
    """Find unknown codes of events and steady states."""
    event, steady = doses["event"], doses["steady"]
    strange = real & ~np.isin(event, (DOSE, OTHER, RESET, RESET_DOSE))
    kinds = "1, 2, 3 or 4: dose, other, reset, reset and dose"
    odd = real & ~np.isin(steady, (0, 1, 2))
    states = "0, 1 or 2: none, steady state anew, steady state added"
    return [
        *_wrong("event", event, strange, kinds, "event 1"),
        *_wrong("steady", steady, odd, states, "steady 0"),
    ]


def _amount_faults(doses: Mapping[str, np.ndarray], gives: np.ndarray) -> list[Fault]:
    """Find invalid amounts and rates, and steady states without an interval."""
    amount, rate, interval = doses["amount"], doses["rate"], doses["interval"]
    strange = gives & (rate < 0) & ~np.isin(rate, (-1.0, -2.0))
    constant = (amount == 0) & (rate != 0)
    lost = gives & (doses["steady"] > 0) & ~constant & (interval <= 0)
    between = "above 0 h for a dose at steady state"
    return [
        *_wrong("amount", amount, gives & (amount < 0), "0 or more", "amount 0"),
        *_wrong("rate", rate, strange, "above 0, 0, -1 or -2", "rate 0"),
        *_wrong("interval", interval, lost, between, "interval 24"),
    ]


def _compartment_faults(
    model: Model, doses: Mapping[str, np.ndarray], gives: np.ndarray
) -> list[Fault]:
    """Find doses into no state, and rates that the model does not say."""
    last = len(model.states) - 1
    compartment, rate = doses["compartment"], doses["rate"]
    outside = gives & ((compartment < 0) | (compartment > last))
    allowed = f"the position of a state, 0 to {last}"
    faults = _wrong("compartment", compartment, outside, allowed, "compartment 0")
    if faults:
        return faults
    said = {(s.kind, s.name) for s in model.structure.properties}
    for code, kind in ((-1, "rate"), (-2, "duration")):
        asking = np.unique(compartment[gives & (rate == code)])
        for state in (model.states[int(place)] for place in asking):
            if (kind, state) not in said:
                faults.append(
                    Fault(
                        "doses.rate",
                        f"{code} for `{state}`, whose {kind} the model does not say",
                        "a rate in amount/h, or 0 for a bolus",
                        f"{kind}({state}) = ...",
                    )
                )
    return faults
