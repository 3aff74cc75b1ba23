"""Read a record's tree some trials at a time."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from vtrial.analysis.renewed import Recipe, Shelf, Stored, made
from vtrial.dims import (
    ARM,
    ARMS,
    BASELINE,
    CAUSE,
    ENDPOINT,
    EVENT,
    FALLBACK,
    LEFT,
    MEASURED,
    MEASUREMENTS,
    NUMBER,
    OBSERVED,
    OUTCOME,
    OUTCOMES,
    OUTPUT,
    PLANNED,
    POINT,
    PREDICTED,
    REASON,
    REPLICATE,
    SCREENED,
    SPREAD,
    STATUS,
    STOP_CAUSE,
    STOPPED,
    SUBJECT,
    SUBJECTS,
    TAKEN,
    TRIAL,
    VISIT,
)
from vtrial.endpoint.endpoint import Endpoint
from vtrial.endpoint.outcome import Outcome
from vtrial.errors import Fault, ProtocolError, StoreError
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.difference import (
    Difference,
    differences,
    faults_of_differences,
)
from vtrial.protocol.evidence import Observed, name_points
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.stored import read_protocol
from vtrial.protocol.subset import names_of
from vtrial.sheets.sheet import parse_sheet
from vtrial.sheets.validate import raise_faults
from vtrial.sheets.words import listed, nearest
from vtrial.types import Missing, Status

VARIABLES = (OUTCOME, BASELINE, EVENT, REASON)
AT_ONCE = 100_000  # subjects read at once; at least one whole trial
MOST_VALUES = 5_000_000  # beyond this endpoints are read one by one


class Departed(NamedTuple):
    """When subjects left [h], NaN for who stayed, and the code of the reason."""

    time: Float[np.ndarray, "replicate subject"]
    cause: Int[np.ndarray, "replicate subject"]


@dataclass(frozen=True)
class Chunk:
    """Some whole trials of a record; every array is (replicate, subject).

    `pools` are sides of comparisons that are made of several arms.
    """

    tree: xr.DataTree
    arms: tuple[str, ...]
    start: int
    replicates: int
    subjects: int
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    _kept: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @cached_property
    def allocated(self) -> Int[np.ndarray, "replicate subject"]:
        """The position of each subject's arm; -1 for none."""
        return self._read(SUBJECTS, ARM).astype(int)

    @cached_property
    def screened(self) -> Int[np.ndarray, "replicate subject"]:
        """How many were screened until the subject was found."""
        return np.maximum(self._read(SUBJECTS, SCREENED), 0).astype(int)

    def in_arm(self, arm: str) -> Bool[np.ndarray, "replicate subject"]:
        """Return which subjects are allocated to an arm, or to one of a pool."""
        if arm in self.pools:
            return np.any([self.in_arm(one) for one in self.pools[arm]], axis=0)
        return self.allocated == self.arms.index(arm)

    def status(self, arm: str) -> Int[np.ndarray, "replicate subject"]:
        """Return how each subject's solution under an arm ended; -1 not simulated."""
        key = (arm, STATUS)
        if key not in self._kept:
            self._kept[key] = self._read(f"{ARMS}/{arm}", STATUS).astype(np.int8)
        return self._kept[key]

    def fallback(self, arm: str) -> Int[np.ndarray, "replicate subject"]:
        """Return by which method each subject was solved: see `FALLBACKS`.

        Records of versions before there was a choice keep none: by the first.
        """
        if FALLBACK not in dataset(self.tree, f"{ARMS}/{arm}"):
            return np.zeros_like(self.status(arm))
        return self._read(f"{ARMS}/{arm}", FALLBACK).astype(np.int8)

    def left(self, arm: str) -> Departed | None:
        """Return who left, when and why: see `Dropout.reasons`; None if nobody may."""
        return self._ended(arm, LEFT, CAUSE)

    def stopped(self, arm: str) -> Departed | None:
        """Return who stopped treatment, when and why; None if no endpoint asks."""
        return self._ended(arm, STOPPED, STOP_CAUSE)

    def _ended(self, arm: str, when: str, why: str) -> Departed | None:
        if why not in dataset(self.tree, f"{ARMS}/{arm}"):
            return None
        time, cause = (self._read(f"{ARMS}/{arm}", name) for name in (when, why))
        return Departed(time.astype(float), cause.astype(int))

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The covariates and individual parameters that the record holds, by name.

        Its own order is that of the file system, and not always the same.
        """
        known = {REPLICATE, NUMBER, ARM, SCREENED}
        held = dataset(self.tree, SUBJECTS).data_vars
        return tuple(sorted({str(name) for name in held} - known))

    def covariate(self, name: str) -> Float[np.ndarray, "replicate subject"]:
        """Return a covariate of every subject."""
        return self._read(SUBJECTS, name).astype(float)

    def values(
        self, arm: str, endpoint: str, variable: str = OUTCOME
    ) -> Float[np.ndarray, "replicate subject"]:
        """Return an endpoint's values under an arm; NaN for failed subjects."""
        values = self._column(arm, endpoint, variable)
        return np.where(self.status(arm) == Status.SOLVED, values, np.nan)

    def own(
        self, arm: str, endpoint: str, variable: str = OUTCOME
    ) -> Float[np.ndarray, "replicate subject"]:
        """Return the values of subjects allocated to the arm, NaN for others."""
        if arm in self.pools:
            every = [self.own(one, endpoint, variable) for one in self.pools[arm]]
            return functools.reduce(_either, every)
        values = self.values(arm, endpoint, variable)
        return np.where(self.in_arm(arm), values, np.nan)

    def reasons(self, arm: str, endpoint: str) -> Int[np.ndarray, " reason"]:
        """Count the solved subjects of an arm without a number, by `Missing` code.

        Records of versions before there were reasons keep none.
        """
        solved = self.in_arm(arm) & (self.status(arm) == Status.SOLVED)
        lacks = solved & ~np.isfinite(self.values(arm, endpoint))
        if not self._keeps_reasons(arm):
            return np.bincount([Missing.NOT] * lacks.sum(), minlength=len(Missing))
        codes = self._column(arm, endpoint, REASON)[lacks].astype(int)
        return np.bincount(codes, minlength=len(Missing))

    def failed(self, arm: str) -> Bool[np.ndarray, "replicate subject"]:
        """Return which subjects allocated to an arm could not be solved."""
        if arm in self.pools:
            return np.any([self.failed(one) for one in self.pools[arm]], axis=0)
        return self.in_arm(arm) & (self.status(arm) > Status.SOLVED)

    def planned(self, endpoint: Endpoint) -> Float[np.ndarray, " visit"]:
        """Return the planned times [h] of an endpoint's visits, ascending."""
        return self._visits(endpoint)[1]

    def measured(
        self, arm: str, endpoint: Endpoint, variable: str = MEASURED
    ) -> Float[np.ndarray, "replicate subject visit"]:
        """Return what is measured of an endpoint's output at its visits, under an arm.

        NaN for failed subjects, and at visits that were missed. Other variables are
        those of predictions.
        """
        path = f"{ARMS}/{arm}/{MEASUREMENTS}"
        output = names_along(self.tree, path, OUTPUT).index(endpoint.of)
        first = self.start * self.subjects
        rows = slice(first, first + self.replicates * self.subjects)
        held = dataset(self.tree, path)[variable].variable
        read = held.isel({SUBJECT: rows, OUTPUT: output})
        values = read.values[:, self._visits(endpoint)[0]]
        values = values.reshape(self.replicates, self.subjects, -1).astype(float)
        solved = self.status(arm) == Status.SOLVED
        return np.where(solved[:, :, None], values, np.nan)

    def looked_at(
        self, arm: str, endpoint: Endpoint
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the times [h], values and planned times [h] of an endpoint.

        A row is a subject; times ascend, also where visits were moved.
        """
        place, planned = self._visits(endpoint)
        path = f"{ARMS}/{arm}/{MEASUREMENTS}"
        time = self._read(path, TAKEN)[:, :, place].reshape(-1, place.size)
        value = self.measured(arm, endpoint).reshape(time.shape)
        order = np.argsort(time, axis=1, kind="stable")
        planned = np.broadcast_to(planned, time.shape)
        parts = (time.astype(float), value, planned)
        return tuple(np.take_along_axis(part, order, axis=1) for part in parts)  # type: ignore[return-value] # three

    def _visits(self, endpoint: Endpoint) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of an endpoint's visits, and their planned times [h]."""
        path = f"{ARMS}/{self.arms[0]}/{MEASUREMENTS}"
        names = names_along(self.tree, path, VISIT)
        place = np.array([i for i, n in enumerate(names) if n in endpoint.visits], int)
        planned = np.asarray(dataset(self.tree, path)[PLANNED].values)[place]
        planned = planned.astype(float)
        order = np.argsort(planned, kind="stable")
        return place[order], planned[order]

    def _column(self, arm: str, endpoint: str, variable: str) -> np.ndarray:
        """Read one endpoint; all of them at once, and keep them, if they are few.

        A shard holds all endpoints of its subjects: it is decoded whole anyway.
        """
        if endpoint in self.recipes:
            return self._made(arm, endpoint)[VARIABLES.index(variable)]
        path, key = f"{ARMS}/{arm}/{OUTCOMES}", (arm, variable)
        names = names_along(self.tree, path, ENDPOINT)
        place = names.index(endpoint)
        if self.replicates * self.subjects * len(names) > MOST_VALUES:
            return self._read(path, variable, column=place).astype(float)
        if key not in self._kept:
            self._kept[key] = self._read(path, variable).astype(float)
        return self._kept[key][:, :, place]

    def _keeps_reasons(self, arm: str) -> bool:
        """Return whether the record holds the reasons why numbers are missing."""
        return REASON in dataset(self.tree, f"{ARMS}/{arm}/{OUTCOMES}")

    def _made(self, arm: str, endpoint: str) -> tuple[np.ndarray, ...]:
        """Make an endpoint that the record holds otherwise: as `VARIABLES` has it."""

        def stored(name: str) -> Outcome:
            *columns, last = VARIABLES
            number, *others = (self._column(arm, name, one) for one in columns)
            kept = self._keeps_reasons(arm)
            why = self._column(arm, name, last) if kept else np.zeros_like(number)
            parts = map(jnp.asarray, (number, *others, why.astype("int8")))
            return Outcome(*parts)

        looked_at = functools.partial(self.looked_at, arm)
        names = names_along(self.tree, f"{ARMS}/{arm}/{OUTCOMES}", ENDPOINT)
        names = [*dict.fromkeys([*names, *self.recipes])]
        shelf = Shelf(stored, self.covariate, names, looked_at)
        shape = (self.replicates, self.subjects)
        parts = made(self.recipes[endpoint], shelf)
        return tuple(np.asarray(part).reshape(shape) for part in parts)

    def _read(self, path: str, name: str, column: int | None = None) -> np.ndarray:
        """Read these trials' rows of an array over subjects (and endpoints)."""
        array = dataset(self.tree, path)[name].variable
        first = self.start * self.subjects
        rows = slice(first, first + self.replicates * self.subjects)
        read = array.isel({SUBJECT: rows})
        read = read if column is None else read.isel({ENDPOINT: column})
        values = read.values
        return values.reshape(self.replicates, self.subjects, *values.shape[1:])


def _either(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the first values, and the second ones where they are NaN."""
    return np.where(np.isnan(first), second, first)


def dataset(tree: xr.DataTree, path: str) -> xr.Dataset:
    """Return one group's own arrays, lazily."""
    return tree[path].to_dataset()


def names_along(tree: xr.DataTree, path: str, axis: str) -> list[str]:
    """Return the names along an axis of a group."""
    return [str(name) for name in dataset(tree, path)[axis].values]


def chunks_of(tree: xr.DataTree, protocol: Protocol) -> Iterator[Chunk]:
    """Walk over a record, some whole trials at a time.

    Subjects stand in the order of their trial, then of their number in it.

    Raises
    ------
    StoreError
        If the record does not hold whole trials of the protocol's size.
    """
    rows, size = dataset(tree, SUBJECTS).sizes[SUBJECT], protocol.subjects
    if rows % size or not rows:
        raise StoreError(
            at=f"/{SUBJECTS}",
            found=f"of {rows} subjects",
            allowed=f"a multiple of the protocol's {size} subjects",
            write="",
        )
    total, most = rows // size, max(1, AT_ONCE // size)
    arms, stored = arms_of(tree, protocol), stored_in(tree)
    recipes = stored.recipes(protocol.endpoints)[0] if stored else {}
    comparisons = protocol.analysis.comparisons
    pools = {k: v for one in comparisons for k, v in one.pools.items()}
    for start in range(0, total, most):
        count = min(most, total - start)
        yield Chunk(tree, arms, start, count, size, recipes, pools)


def stored_in(tree: xr.DataTree) -> Stored | None:
    """Return what a record says that it holds; None of a tree that nobody ran."""
    if TRIAL not in tree.attrs:
        return None
    protocol = read_protocol(tree.attrs[TRIAL])
    own = {REPLICATE, NUMBER, ARM, SCREENED}
    covariates = {str(name) for name in dataset(tree, SUBJECTS).data_vars} - own
    kept = has_measurements(tree, protocol.arms[0].name)
    return Stored(protocol, frozenset(covariates), kept)


def arms_of(tree: xr.DataTree, protocol: Protocol) -> tuple[str, ...]:
    """Return the record's arms, in the order that allocation counts them."""
    named = tree.attrs.get(ARMS) or [arm.name for arm in protocol.arms]
    return tuple(str(name) for name in named)


def check_record(tree: xr.DataTree, protocol: Protocol) -> None:
    """Refuse a protocol that asks for what the record does not hold.

    Raises
    ------
    ProtocolError
        With everything that was simulated otherwise than the protocol says, or every
        arm, endpoint and covariate that is asked for and not there.
    """
    stored = stored_in(tree)
    recipes: Mapping[str, Recipe] = {}
    if stored is not None:
        recipes, wrong = stored.recipes(protocol.endpoints)
        raise_faults(ProtocolError, _run_otherwise(stored.protocol, protocol, wrong))
    arms = arms_of(tree, protocol)
    paths = {group.strip("/") for group in tree.groups}
    faults = [
        _fault(f"arms.{arm.name}", arm.name, arms, protocol)
        for arm in protocol.arms
        if arm.name not in arms or f"{ARMS}/{arm.name}" not in paths
    ]
    raise_faults(ProtocolError, faults)
    held = names_along(tree, f"{ARMS}/{arms[0]}/{OUTCOMES}", ENDPOINT)
    faults += [
        _fault(f"endpoints.{endpoint.name}", endpoint.name, held, protocol)
        for endpoint in protocol.endpoints
        if endpoint.name not in held and endpoint.name not in recipes
    ]
    known = [BASELINE, *(str(name) for name in dataset(tree, SUBJECTS).data_vars)]
    faults += [
        _fault(f"analysis.{comparison.name}.{key}", name, known, protocol)
        for comparison in protocol.analysis.comparisons
        for key, name in _covariates(comparison)
        if name not in known
    ]
    faults += [
        _fault(f"published.{place}.where", name, known, protocol)
        for place, point in enumerate(protocol.evidence.published)
        for name in (names_of(point.where) if point.where is not None else [])
        if name not in known
    ]
    faults += [
        Fault(
            f"analysis.{comparison.name}.by",
            f"`{comparison.by}`, of measurements that the record does not hold",
            "a record with `keep: {measurements: true}`, as a run with it makes one",
            f"vtrial run {protocol.path or protocol.name}",
            protocol.path,
        )
        for comparison in protocol.analysis.comparisons
        if comparison.measure.of == "visits" and not has_measurements(tree, arms[0])
    ]
    faults += _predictions(tree, protocol)
    raise_faults(ProtocolError, faults)


def _run_otherwise(
    held: Protocol, asked: Protocol, wrong: Sequence[Difference]
) -> Iterator[Fault]:
    """Yield what a protocol says otherwise than the record was run."""
    found = [*differences(held, asked), *wrong]
    if asked.replicates > held.replicates:
        counts = (str(held.replicates), str(asked.replicates))
        found.append(Difference((f"{REPLICATE}s",), *counts))
    if not found:
        return iter(())
    source = asked.path or asked.name
    sheet = parse_sheet(asked.text or f"protocol: {asked.name}", source=source)
    return faults_of_differences(found, sheet, f"vtrial run {source}")


def has_measurements(tree: xr.DataTree, arm: str) -> bool:
    """Return whether a record holds every measured value of an arm."""
    paths = {group.strip("/") for group in tree.groups}
    return f"{ARMS}/{arm}/{MEASUREMENTS}" in paths


def predictions_of(
    tree: xr.DataTree, observed: Sequence[Observed], place: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the predictions of observed points, and their standard deviations.

    None where they are not asked for. The record holds those of all corrected points
    one after another.
    """
    seen = observed[place]
    if seen.correct == "nothing":
        return None, None
    before = [o for o in observed[:place] if o.correct != "nothing"]
    first = sum(len(o.value) for o in before)
    rows = {POINT: slice(first, first + len(seen.value))}
    held = dataset(tree, OBSERVED).isel(rows)
    names = (PREDICTED, SPREAD) if seen.correct != "prediction" else (PREDICTED,)
    found = [held[name].values.astype(float) for name in names]
    return found[0], found[1] if len(found) > 1 else None


def _predictions(tree: xr.DataTree, protocol: Protocol) -> Iterator[Fault]:
    """Yield corrections for which the record does not hold the predictions."""
    arms = arms_of(tree, protocol)
    for seen in protocol.evidence.observed:
        names = (PREDICTED, SPREAD) if seen.correct != "prediction" else (PREDICTED,)
        arm = seen.arm if seen.arm in arms else arms[0]
        held = has_measurements(tree, arm) and all(
            name in dataset(tree, f"{ARMS}/{arm}/{MEASUREMENTS}") for name in names
        )
        named = tree.attrs.get(OBSERVED) == name_points(protocol.evidence.observed)
        if seen.correct != "nothing" and not (held and named):
            yield Fault(
                f"observed.{seen.output}.correct",
                f"`{seen.correct}`, by predictions that the record does not hold",
                "of a record that was run with this entry and these points",
                f"vtrial run {protocol.path or protocol.name}",
                protocol.path,
            )


def _covariates(comparison: Comparison) -> list[tuple[str, str]]:
    """Name the covariates that a comparison asks for, and the keys they stand at."""
    where = names_of(comparison.where) if comparison.where is not None else []
    asked = {"adjust": comparison.adjust, "strata": comparison.strata, "where": where}
    return [(key, name) for key, names in asked.items() for name in names]


def _fault(at: str, name: str, held: Sequence[str], protocol: Protocol) -> Fault:
    """Return the fault for a name that the record does not hold."""
    return Fault(
        at,
        f"`{name}`, which the record does not hold",
        f"{listed(held)}, or simulated first",
        nearest(name, held) or f"vtrial run {protocol.path or protocol.name}",
        protocol.path,
    )


def covariates_of(
    chunk: Chunk, comparison: Comparison, endpoint: Endpoint
) -> Float[np.ndarray, "replicate subject covariate"] | None:
    """Return what a comparison is adjusted for; the logarithm of a ratio's baseline."""
    if not comparison.adjust:
        return None
    columns = []
    for name in comparison.adjust:
        if name != BASELINE:
            columns.append(chunk.covariate(name))
            continue
        names = [name for name, _ in comparison.doses]
        column = np.full((chunk.replicates, chunk.subjects), np.nan)
        for arm in names or (comparison.arm, comparison.reference):
            own = chunk.own(arm, endpoint.name, BASELINE)
            column = np.where(chunk.in_arm(arm), own, column)
        if comparison.measure.logarithms:
            column = np.log(np.where(column > 0, column, np.nan))
        columns.append(column)
    return np.stack(columns, axis=2)
