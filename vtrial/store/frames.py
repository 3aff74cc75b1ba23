"""A record's subjects, trajectories, doses and decisions as tidy tables."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from vtrial.dims import (
    ACTED,
    AMOUNT,
    ARM,
    ARMS,
    CAUSE,
    COUNT,
    DECISIONS,
    DOSES,
    ENDPOINT,
    EVENT,
    FALLBACK,
    INTO,
    KNOWN,
    LEARNED,
    LEFT,
    MOMENT,
    NUMBER,
    OUTCOME,
    OUTCOMES,
    OUTPUT,
    PLANNED,
    QUANTILE,
    RATE,
    REASON,
    REPLICATE,
    SKETCH,
    STATE,
    STATUS,
    STOP_CAUSE,
    STOPPED,
    SUBJECT,
    SUBJECTS,
    TIME,
    TOLD,
    TRAJECTORIES,
    VALUE,
    VISIT,
)
from vtrial.errors import StoreError
from vtrial.sheets.words import listed, nearest
from vtrial.sketch import merge

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

UNITS, TITLE = "units", "long_name"
MEANS, CODES = "flag_meanings", "flag_values"
QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def subjects_of(tree: "xr.DataTree", under: str = "") -> "pd.DataFrame":
    """Return a row a subject: who, in which arm, covariates, status, outcomes.

    Outcomes are those under the arm that a subject was allocated to, or `under` one
    arm for everybody who was simulated under it. Of endpoints that may be censored a
    column `<endpoint> event` says whether it was seen. Where subjects may leave, `left`
    [h] and `cause` say when and why. Categories that the cohort names
    by words have these. `attrs` hold `units`.
    """
    import pandas as pd

    who = _group(tree, SUBJECTS)
    arms = [str(name) for name in who[ARM].attrs[MEANS]]
    chosen = _known(under, arms)
    place = who[ARM].values.astype(int)
    columns: dict[str, Any] = {
        REPLICATE: who[REPLICATE].values,
        SUBJECT: who[NUMBER].values,
        ARM: np.where(place >= 0, np.array([*arms, ""])[place], ""),
    }
    units: dict[str, str] = {}
    for name in who.data_vars:
        if str(name) not in (REPLICATE, NUMBER, ARM):
            columns[str(name)] = _in_words(who[name])
            if unit := who[name].attrs.get(UNITS):
                units[str(name)] = str(unit)
    columns |= _outcomes(tree, chosen, arms, place, units)
    table = pd.DataFrame(columns)
    if under:
        table = table[table[STATUS] != "not simulated"].reset_index(drop=True)
    table.attrs[UNITS] = units
    return table


def _in_words(values: Any) -> np.ndarray:
    """Return a covariate, in the words of its category if it has some."""
    words = values.attrs.get(MEANS)
    if not words:
        return values.values
    codes = values.attrs[CODES]
    named = dict(zip(map(float, codes), map(str, words), strict=True))
    found = [named.get(float(code), "") for code in values.values]
    return np.array(found, object)


def trajectories_of(tree: "xr.DataTree") -> "pd.DataFrame":
    """Return true outputs over time [h], a column each; `attrs` hold `units`.

    Where single subjects are kept there is a row a subject and time; where quantiles
    are, a row a quantile (5, 25, 50, 75, 95 %) and time.
    """
    import pandas as pd

    who = _group(tree, SUBJECTS)
    arms = [str(name) for name in who[ARM].attrs[MEANS]]
    frames, units = [], {TIME: "h"}
    for arm in arms:
        path = f"{ARMS}/{arm}/{TRAJECTORIES}"
        if f"/{path}" not in tree.groups:
            continue
        kept = _group(tree, path)
        names = [str(name) for name in kept[OUTPUT].values]
        units |= dict(zip(names, map(str, kept[OUTPUT].attrs[UNITS]), strict=True))
        made = _quantiles(kept, names) if SKETCH in kept else _values(kept, names, who)
        frames.append(made.assign(**{ARM: arm}))
    if not frames:
        raise StoreError(
            "trajectories",
            "not kept",
            "kept by the protocol",
            "keep: {trajectories: quantiles}",
        )
    table = pd.concat(frames, ignore_index=True)
    table = table[[ARM, *(name for name in table.columns if name != ARM)]]
    table.attrs[UNITS] = units
    return table


def doses_of(tree: "xr.DataTree") -> "pd.DataFrame":
    """Return a row a dose that was due or added, in the arms that keep a ledger.

    Columns are `arm`, `replicate`, `subject`, `time` [h], `amount`, `rate`, `state`
    (where it goes, by name) and `reason` in words. A dose that was not given has
    amount 0. `attrs` hold `units`.
    """
    who, frames, units = _group(tree, SUBJECTS), [], {}
    for arm in _arms_with(tree, DOSES, "adherence: {taken: 90 %}"):
        kept = _group(tree, f"{ARMS}/{arm}/{DOSES}")
        time = kept[TIME].values.astype(float)
        time = np.where(np.isfinite(time), time, np.inf)
        order = np.argsort(time, axis=1, kind="stable")
        rows, place = np.nonzero(np.isfinite(np.take_along_axis(time, order, axis=1)))
        cell = (rows, order[rows, place])
        found = {ARM: arm, **_who(who, rows), TIME: time[cell]}
        found |= {
            name: kept[name].values[cell].astype(float) for name in (AMOUNT, RATE)
        }
        for name, called in ((INTO, STATE), (REASON, REASON)):
            words = np.array([*kept[name].attrs[MEANS]], object)
            found[called] = words[kept[name].values[cell].astype(int) + 1]
        frames.append(found)
        units = {name: str(kept[name].attrs[UNITS]) for name in (TIME, AMOUNT, RATE)}
    return _stacked(frames, units)


def decisions_of(tree: "xr.DataTree") -> "pd.DataFrame":
    """Return a row for each moment at which a subject's rules were decided.

    Columns are `arm`, `replicate`, `subject`, `visit`, `planned` and `time` [h], the
    names of the rules that `acted` (several with commas, empty: none), and for each
    output that rules look at its last value known then. Where a rule chose a dose by
    what it learned, there are `learned dose`, `learned target` and so on. `attrs` hold
    `units`.
    """
    who, frames = _group(tree, SUBJECTS), []
    units: dict[str, str] = {TIME: "h", PLANNED: "h"}
    for arm in _arms_with(tree, DECISIONS, "rules: {r: {when: ..., do: hold}}"):
        kept = _group(tree, f"{ARMS}/{arm}/{DECISIONS}")
        time = kept[TIME].values.astype(float)
        rows, place = np.nonzero(np.isfinite(time))
        found = {
            ARM: arm,
            **_who(who, rows),
            VISIT: np.array([*kept[MOMENT].values], object)[place],
            PLANNED: kept[PLANNED].values.astype(float)[place],
            TIME: time[rows, place],
            ACTED: _acted(kept[ACTED], rows, place),
        }
        outputs = [*map(str, kept[OUTPUT].values)] if KNOWN in kept else []
        if outputs:
            told = map(str, kept[OUTPUT].attrs[UNITS])
            units |= dict(zip(outputs, told, strict=True))
        for column, name in enumerate(outputs):
            found[name] = kept[KNOWN].values[rows, place, column].astype(float)
        numbers = [*map(str, kept[TOLD].values)] if LEARNED in kept else []
        for column, name in enumerate(numbers):
            learned = kept[LEARNED].values[rows, place, column].astype(float)
            found[f"learned {name}"] = learned
        frames.append(found)
    return _stacked(frames, units)


def _acted(kept: Any, rows: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Name the rules that acted, of which each is a bit."""
    names, masks = kept.attrs[MEANS], kept.attrs["flag_masks"]
    bits, which = np.unique(kept.values[rows, place].astype(int), return_inverse=True)
    words = [
        ", ".join(
            str(name)
            for name, mask in zip(names, masks, strict=True)
            if one & int(mask)
        )
        for one in bits.tolist()
    ]
    return np.array([*words, ""], object)[which.reshape(-1)]


def _who(who: Any, rows: np.ndarray) -> dict[str, Any]:
    """Return replicate and number of the subjects of some rows."""
    return {REPLICATE: who[REPLICATE].values[rows], SUBJECT: who[NUMBER].values[rows]}


def _arms_with(tree: "xr.DataTree", part: str, write: str) -> list[str]:
    """Return the arms that keep a part of the ledger; there must be one."""
    arms = [str(name) for name in _group(tree, SUBJECTS)[ARM].attrs[MEANS]]
    found = [arm for arm in arms if f"/{ARMS}/{arm}/{part}" in tree.groups]
    if not found:
        lacks = "rules" if part == DECISIONS else "rules or adherence"
        raise StoreError(part, "not kept", f"of a trial with {lacks}", write)
    return found


def _stacked(frames: list[dict[str, Any]], units: dict[str, str]) -> "pd.DataFrame":
    """Stand arms one below the other."""
    import pandas as pd

    table = pd.concat(map(pd.DataFrame, frames), ignore_index=True)
    table.attrs[UNITS] = units
    return table


def _group(tree: "xr.DataTree", path: str) -> "xr.Dataset":
    """Return a group of the tree by itself."""
    group: Any = tree[path]
    return group.to_dataset()


def _known(under: str, arms: list[str]) -> list[str]:
    """Return the arms whose outcomes are asked for."""
    if under and under not in arms:
        allowed = f"an arm of the record: {listed(arms)}"
        raise StoreError("under", f"`{under}`", allowed, nearest(under, arms))
    return [under] if under else arms


def _outcomes(
    tree: "xr.DataTree",
    chosen: Iterable[str],
    arms: list[str],
    place: np.ndarray,
    units: dict[str, str],
) -> dict[str, Any]:
    """Return status and outcomes, each under the arm that counts."""
    columns: dict[str, Any] = {}
    chosen = list(chosen)
    for arm in chosen:
        group = _group(tree, f"{ARMS}/{arm}")
        mine = np.ones(place.size, bool)
        if len(chosen) > 1 or len(arms) == 1:
            mine = place == arms.index(arm)
        for name in (STATUS, FALLBACK):
            words = np.array(group[name].attrs[MEANS])[group[name].values + 1]
            _put(columns, name, mine, words, "not simulated")
        for when, why in ((LEFT, CAUSE), (STOPPED, STOP_CAUSE)):
            if why not in group:
                continue
            words = np.array(group[why].attrs[MEANS])[group[why].values + 1]
            _put(columns, when, mine, group[when].values, np.nan)
            _put(columns, why, mine, words, "not simulated")
            units[when] = "h"
        found = _group(tree, f"{ARMS}/{arm}/{OUTCOMES}")
        points = found[ENDPOINT]
        units |= dict(
            zip(points.values.tolist(), map(str, points.attrs[UNITS]), strict=True)
        )
        for index, name in enumerate(points.values.tolist()):
            value = found[OUTCOME].values[:, index]
            event = found[EVENT].values[:, index]
            _put(columns, name, mine, value, np.nan)
            _put(columns, f"{name} event", mine, event, np.nan)
    sure = [n for n in columns if n.endswith(" event") and not (columns[n] == 0).any()]
    return {name: column for name, column in columns.items() if name not in sure}


def _put(
    columns: dict[str, Any], name: str, mine: np.ndarray, values: np.ndarray, none: Any
) -> None:
    """Put some subjects' values into a column."""
    kind = object if isinstance(none, str) else float
    held = columns.setdefault(name, np.full(mine.size, none, kind))
    held[mine] = values[mine]


def _quantiles(kept: Any, names: list[str]) -> "pd.DataFrame":
    """Merge the sketches of all blocks to quantiles."""
    import pandas as pd

    time = kept[TIME].values.astype(float)
    columns: dict[str, Any] = {
        QUANTILE: np.tile(QUANTILES, time.size),
        TIME: np.repeat(time, QUANTILES.size),
    }
    for place, name in enumerate(names):
        some = {OUTPUT: place}
        sketches = kept[SKETCH].isel(some).values.astype(float)
        counts = kept[COUNT].isel(some).values
        columns[name] = merge(sketches, counts, QUANTILES).ravel()
    return pd.DataFrame(columns)


def _values(kept: Any, names: list[str], who: Any) -> "pd.DataFrame":
    """Lay out the subjects that are kept; those without a value are left out."""
    import pandas as pd

    time, values = kept[TIME].values.astype(float), kept[VALUE].values
    rows = np.flatnonzero(np.isfinite(values).any(axis=(1, 2)))
    columns: dict[str, Any] = {
        REPLICATE: np.repeat(who[REPLICATE].values[rows], time.size),
        SUBJECT: np.repeat(who[NUMBER].values[rows], time.size),
        TIME: np.tile(time, rows.size),
    }
    for place, name in enumerate(names):
        columns[name] = values[rows, place].reshape(-1)
    return pd.DataFrame(columns)
