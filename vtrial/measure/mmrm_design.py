"""Repeated values of many trials, laid out for a mixed model.

Subjects with the same visits seen share their covariance matrix, so that the likelihood
needs only sums of products over them: its cost does not grow with the number of
subjects. Weights scale values and columns and are gone. Columns are made orthonormal,
trial by trial, and the least-squares fit is taken off the values: nothing is lost in
sums of squares, whatever the units.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

Long = Float[np.ndarray, "replicate subject visit"]
Columns = Float[np.ndarray, "replicate subject visit column"]
SAME = 1e-7  # of a column's length is left: it depends on those before it


class Basis(NamedTuple):
    """What makes a design's columns from orthonormal ones: an upper triangle.

    A column that depends on those before it is not `kept`: its orthonormal column is
    zero, as is its row of the triangle.
    """

    triangle: Float[np.ndarray, "replicate column column"]
    kept: Bool[np.ndarray, "replicate column"]


class Panel(NamedTuple):
    """Many trials' repeated values.

    Attributes
    ----------
    value
        What the least-squares fit `first` leaves, times the root of the weight; 0
        where nothing is seen.
    columns
        Orthonormal columns of each trial, in the order of the design's; 0 where
        nothing is seen.
    varies
        Whether a design's column differs between visits of any subject.
    kind
        The number of each subject's kind; -1 for who is in no group. Those of whom
        nothing is seen are a kind, too, and change nothing.
    mask, group, distance
        Which visits a kind has, the group whose covariance it has, and how far apart
        its visits are.
    log_weight
        Sum of the logarithms of the weights.
    """

    value: Long
    columns: Columns
    basis: Basis
    first: Float[np.ndarray, "replicate column"]
    varies: Bool[np.ndarray, "replicate column"]
    kind: Int[np.ndarray, "replicate subject"]
    mask: Bool[np.ndarray, "replicate kind visit"]
    group: Int[np.ndarray, "replicate kind"]
    distance: Float[np.ndarray, "replicate kind visit visit"]
    log_weight: Float[np.ndarray, " replicate"]
    groups: int

    @property
    def seen(self) -> Bool[np.ndarray, "replicate subject visit"]:
        """Visits of each subject that enter the analysis."""
        mask = np.take_along_axis(self.mask, self.kind[:, :, None].clip(0), axis=1)
        return mask & (self.kind >= 0)[:, :, None]

    @property
    def rank(self) -> Int[np.ndarray, " replicate"]:
        """Number of columns that are kept: the rank of each trial's design."""
        return self.basis.kept.sum(axis=1)


def lay_out(
    value: Long,
    design: Columns,
    *,
    weight: Long | None = None,
    group: Int[np.ndarray, "replicate subject"] | None = None,
    coordinate: Float[np.ndarray, "replicate subject visit axis"] | None = None,
) -> Panel:
    """Lay out repeated values for `fit_mixed`.

    Parameters
    ----------
    value
        NaN for what is missing. A visit at which a column of the design or a
        coordinate is NaN, or the weight is NaN or not positive, is missing as well.
    design
        The columns of the fixed effects at each visit, an intercept included.
    weight
        Precision of each value: its variance is the structure's over the weight.
    group
        From 0: subjects of one group share covariance parameters; below 0 for who
        takes no part. By default all share them.
    coordinate
        Where each visit lies, for structures that count distance; by default visits
        lie one apart. Coordinates that are the same for all subjects cost nothing;
        otherwise each subject is a kind of its own.
    """
    seen = np.isfinite(value) & np.isfinite(design).all(axis=3)
    weight = np.ones_like(value) if weight is None else weight
    seen &= np.nan_to_num(weight) > 0
    group = np.zeros(value.shape[:2], int) if group is None else group
    seen &= (group >= 0)[:, :, None]
    if coordinate is not None:
        seen &= np.isfinite(coordinate).all(axis=3)
    kind, mask, kind_group = _kinds(seen, group, coordinate)
    root = np.sqrt(np.where(seen, weight, 1.0))
    value = np.where(seen, value, 0.0) * root
    design = np.where(seen[:, :, :, None], design, 0.0)
    varies = _varies(design, seen)
    columns, basis = _orthonormal(design * root[:, :, :, None])
    first = np.einsum("rsvc,rsv->rc", columns, value)
    value = value - np.einsum("rsvc,rc->rsv", columns, first)
    return Panel(
        value=value,
        columns=columns,
        basis=basis,
        first=first,
        varies=varies,
        kind=kind,
        mask=mask,
        group=kind_group,
        distance=_distances(mask, coordinate),
        log_weight=2 * np.log(root).sum(axis=(1, 2)),
        groups=max(int(group.max(initial=0)) + 1, 1),
    )


def _kinds(
    seen: Bool[np.ndarray, "replicate subject visit"],
    group: Int[np.ndarray, "replicate subject"],
    coordinate: Float[np.ndarray, "replicate subject visit axis"] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort subjects into kinds: those of one group with the same visits seen."""
    replicates, subjects, visits = seen.shape
    part = group >= 0
    if coordinate is not None and not _is_shared(coordinate):
        own = np.broadcast_to(np.arange(subjects), part.shape)
        return np.where(part, own, -1), seen, np.maximum(group, 0)
    keys = np.concatenate([group[:, :, None], seen], axis=2).reshape(-1, visits + 1)
    found, number = np.unique(keys[part.ravel()], axis=0, return_inverse=True)
    if not len(found):
        found = np.zeros((1, visits + 1), int)
    # Kinds without subjects round their number up, so that few programs are compiled.
    spare = (1 << (len(found) - 1).bit_length()) - len(found)
    found = np.concatenate([found, np.zeros((spare, visits + 1), found.dtype)])
    kind = np.full(replicates * subjects, -1)
    kind[part.ravel()] = number.ravel()
    mask = np.tile(found[None, :, 1:] > 0, (replicates, 1, 1))
    groups = np.tile(found[None, :, 0].astype(int), (replicates, 1))
    return kind.reshape(replicates, subjects), mask, groups


def _is_shared(coordinate: Float[np.ndarray, "replicate subject visit axis"]) -> bool:
    """Return whether all subjects of all trials share their visits' coordinates."""
    return bool((coordinate == coordinate[:1, :1]).all())


def _distances(
    mask: Bool[np.ndarray, "replicate kind visit"],
    coordinate: Float[np.ndarray, "replicate subject visit axis"] | None,
) -> Float[np.ndarray, "replicate kind visit visit"]:
    """Return Euclidean distances of the visits of each kind."""
    if coordinate is None:
        coordinate = np.arange(mask.shape[2], dtype=float)[None, None, :, None]
    elif _is_shared(coordinate):
        coordinate = coordinate[:1, :1]
    coordinate = np.nan_to_num(coordinate)
    apart = coordinate[:, :, :, None, :] - coordinate[:, :, None, :, :]
    distance = np.sqrt((apart**2).sum(axis=-1))
    return np.broadcast_to(distance, (*mask.shape, mask.shape[2]))


def _varies(
    design: Columns, seen: Bool[np.ndarray, "replicate subject visit"]
) -> Bool[np.ndarray, "replicate column"]:
    """Return which columns vary within a subject, between its visits."""
    known = seen[:, :, :, None]
    high = np.where(known, design, -np.inf).max(axis=2)
    low = np.where(known, design, np.inf).min(axis=2)
    return (high > low).any(axis=1)


def _orthonormal(design: Columns) -> tuple[Columns, Basis]:
    """Make each trial's columns orthonormal by Gram's and Schmidt's method, twice."""
    replicates, *_, size = design.shape
    flat = design.reshape(replicates, -1, size)
    made = np.zeros_like(flat)
    triangle = np.zeros((replicates, size, size))
    for column in range(size):
        rest = flat[:, :, column].copy()
        whole = np.sqrt((rest**2).sum(axis=1))
        for _ in range(2):
            share = np.matvec(made[:, :, :column].mT, rest)
            rest -= np.matvec(made[:, :, :column], share)
            triangle[:, :column, column] += share
        length = np.sqrt((rest**2).sum(axis=1))
        length = np.where(length > SAME * whole, length, 0.0)
        triangle[:, column, column] = length
        scale = np.where(length > 0, length, 1.0)[:, None]
        made[:, :, column] = np.where(length[:, None] > 0, rest / scale, 0.0)
    kept = np.diagonal(triangle, axis1=1, axis2=2) > 0
    return made.reshape(design.shape), Basis(triangle, kept)


def express(
    basis: Basis, contrast: Float[np.ndarray, "row column"]
) -> Float[np.ndarray, "replicate row column"]:
    """Write contrasts of a design's coefficients as ones of its orthonormal columns.

    A row that a trial's design cannot tell is NaN (it is not a combination of the
    design's rows: not estimable).
    """
    triangle, kept = basis
    dropped = ~kept[:, None, :]
    size = triangle.shape[1]
    whole = np.where(dropped, np.eye(size)[None], triangle)
    rows = np.broadcast_to(contrast, (len(triangle), *contrast.shape))
    made = np.linalg.solve(whole.mT, rows.mT).mT
    made = np.where(dropped, 0.0, made)
    off = np.abs(made @ triangle - rows).max(axis=2, initial=0.0)
    limit = 1e-6 * np.abs(rows).max(axis=2, initial=0.0)
    return np.where((off <= limit)[:, :, None], made, np.nan)
