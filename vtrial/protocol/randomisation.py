"""Read by which method subjects get their arm."""

from collections.abc import Sequence
from dataclasses import replace

from vtrial.errors import ProtocolError
from vtrial.measure.registry import measures
from vtrial.model.tree import Expression, names_in
from vtrial.protocol.design import REGION, SITE, Allocation, Design, Option
from vtrial.protocol.enactment import ALLOCATING, Enactment
from vtrial.protocol.faults import Faults
from vtrial.protocol.randomisation_kinds import (
    RandomisationKind,
    randomisation_kinds,
)
from vtrial.protocol.randomisation_shape import RandomisationShape
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import ProtocolShape
from vtrial.protocol.subset import read_where
from vtrial.protocol.values import share_in
from vtrial.sheets.words import listed

PATH = ("design", "randomisation")
OPTIONS = ("factors", "probability", "spread", "weights", "begin", "add", "most")
LEAST_COIN = 0.5


def read_randomisation(
    shape: RandomisationShape,
    weights: tuple[int, ...],
    arms: Sequence[str],
    *,
    known: Known,
    faults: Faults,
) -> Allocation:
    """Read the method; without `weights`, which are faulty, it is not held to them."""
    _check_strata(shape, known, faults)
    plain = weights or (1,) * len(arms)
    _check_clusters(shape, faults)
    if shape.by is None:
        return _blocks(shape, plain, sure=bool(weights), faults=faults)
    kind, before = randomisation_kinds()[shape.by], len(faults.entries)
    _check_keys(shape, kind, faults)
    _check_arms(kind, weights, len(arms), faults)
    factors = _factors(shape, known, faults)
    options = _options(shape, kind, weights, faults)
    if len(faults.entries) > before:
        return Allocation(plain)
    strata = tuple(shape.stratified or ())
    return Allocation(plain, kind.word, 0, strata, factors, options)  # type: ignore[arg-type] # one of the words


def _check_clusters(shape: RandomisationShape, faults: Faults) -> None:
    """Refuse methods that are not for whole sites, and sites that are not there."""
    if shape.clusters is None:
        return
    for key, name in (("by", "by"), ("stratified", "stratified")):
        if getattr(shape, key) is not None:
            faults.add(
                (*PATH, name),
                found="given with `clusters`",
                allowed="left out: sites are randomised simply, or in permuted blocks",
                write="",
            )
    if not faults.sheet.value(("design", "sites")):
        faults.add(
            (*PATH, "clusters"),
            found="given, though the design has no sites",
            allowed="given with `sites` at `design`",
        )
    for key in ("looks", "adapt", "escalation", "planned", "trials"):
        if faults.sheet.value(("design", key)) is not None:
            faults.add(
                ("design", key),
                found="given with whole sites randomised",
                allowed="left out: such a trial is evaluated at its end",
                write="",
            )


def _check_strata(shape: RandomisationShape, known: Known, faults: Faults) -> None:
    """Refuse strata that the cohort has not."""
    for index, name in enumerate(shape.stratified or ()):
        here = {*known.covariates, SITE, REGION}
        if known.covariates and name not in here:
            at = (*PATH, "stratified", index)
            faults.unknown(at, name, sorted(known.covariates), "covariate")


def _blocks(
    shape: RandomisationShape,
    weights: tuple[int, ...],
    *,
    sure: bool,
    faults: Faults,
) -> Allocation:
    """Read simple randomisation or permuted blocks, and hold them to the weights."""
    for key in OPTIONS:
        if getattr(shape, key) is not None:
            faults.add(
                (*PATH, key),
                found="given without `by`",
                allowed="an option of a rule: "
                + listed(f"`by: {one.word}`" for one in _taking(key)),
            )
    total, size = sum(weights), shape.permuted_block
    if size is None and shape.stratified:
        faults.add(
            (*PATH, "permuted block"),
            found="missing, though `stratified` is given",
            allowed="the size of the blocks within strata, such as "
            f"`permuted block: {2 * total}`",
        )
    clusters = shape.clusters is not None
    if size is None:
        return Allocation(weights, clusters=clusters)
    if sure and size % total:
        faults.add(
            (*PATH, "permuted block"),
            found=f"{size}, with weights that sum to {total}",
            allowed=f"a multiple of {total}: {total}, {2 * total}, {3 * total} or more",
        )
    by = "stratified" if shape.stratified else "permuted block"
    strata = tuple(shape.stratified or ())
    return Allocation(weights, by, size, strata, clusters=clusters)


def _taking(key: str) -> list[RandomisationKind]:
    """List the kinds that have an option."""
    return [one for one in randomisation_kinds().values() if key in one.options]


def _check_keys(
    shape: RandomisationShape, kind: RandomisationKind, faults: Faults
) -> None:
    """Refuse options that a method has not, and those that it lacks."""
    for key, name in (
        *((key, key) for key in (*OPTIONS, "stratified")),
        ("permuted_block", "permuted block"),
    ):
        if getattr(shape, key) is None or key in kind.options:
            continue
        allowed = f"left out, or one of {listed(kind.options)}"
        if key == "stratified":  # of minimisation
            allowed = "left out: what it is to balance stands at `factors`"
        faults.add(
            (*PATH, name), found=f"given with `by: {kind.word}`", allowed=allowed
        )
    for key, such in kind.needs:
        if getattr(shape, key) is None:
            faults.add(
                PATH,
                found=f"without `{key}`",
                allowed=f"`by: {kind.word}` with `{key}: {such}`",
            )


def _check_arms(
    kind: RandomisationKind, weights: tuple[int, ...], arms: int, faults: Faults
) -> None:
    """Refuse arms or weights that a method is not for."""
    if arms < 2:
        faults.add(
            (*PATH, "by"),
            found=f"`{kind.word}`, with one arm",
            allowed="left out, for there is nothing to randomise",
        )
    elif kind.arms and arms != kind.arms:
        other = [one.word for one in randomisation_kinds().values() if not one.arms]
        faults.add(
            (*PATH, "by"),
            found=f"`{kind.word}`, with {arms} arms",
            allowed=f"for two arms; of more: {listed(other)}, or a permuted block",
        )
    elif kind.equal and len(set(weights)) > 1:
        ratio = ":".join(map(str, weights))
        faults.add(
            (*PATH, "by"),
            found=f"`{kind.word}`, with weights {ratio}",
            allowed="for equal weights; of others: minimisation, or a permuted block",
        )


def _factors(
    shape: RandomisationShape, known: Known, faults: Faults
) -> tuple[Expression, ...]:
    """Read what is balanced: categories, or conditions on covariates."""
    made: list[Expression] = []
    if known.covariates:
        known = replace(known, covariates=known.covariates | {SITE, REGION})
    for index, words in enumerate(shape.factors or ()):
        path = (*PATH, "factors", index)
        if not isinstance(faults.sheet.value((*PATH, "factors")), list):
            path = (*PATH, "factors")
        before = len(faults.entries)
        found = read_where(path, words, known, faults)
        if found is None or len(faults.entries) > before:
            continue
        if not any(True for _ in names_in(found)):
            faults.add(
                path,
                found=f"`{words}`, the same for everybody",
                allowed="a category of the cohort, or a condition: `AGE < 65`",
            )
        elif found in made:
            faults.add(path, found=f"`{words}` twice", allowed="each factor once")
        made.append(found)
    return tuple(made)


def _options(
    shape: RandomisationShape,
    kind: RandomisationKind,
    weights: tuple[int, ...],
    faults: Faults,
) -> tuple[tuple[str, Option], ...]:
    """Read the other options, as numbers and words."""
    made: dict[str, Option] = dict(kind.usual)
    for key in OPTIONS[2:]:
        value = getattr(shape, key)
        if value is not None and key in kind.options:
            made[key] = tuple(value) if isinstance(value, list) else value
    if shape.probability is not None and "probability" in kind.options:
        try:
            made["probability"] = share_in(shape.probability)
        except ProtocolError as error:
            faults.relay((*PATH, "probability"), error)
    chance = made.get("probability")
    least = max(weights) / sum(weights) if weights and not kind.arms else LEAST_COIN
    if isinstance(chance, float) and not least <= chance <= 1:
        faults.add(
            (*PATH, "probability"),
            found=f"{chance:g}",
            allowed=f"from {least:g}, which is chance, to 1",
        )
    many = shape.weights
    factors = len(shape.factors or ())
    if many is not None and (len(many) != factors or min(many, default=0) <= 0):
        faults.add(
            (*PATH, "weights"),
            found=", ".join(f"{one:g}" for one in many) or "none",
            allowed=f"a positive number for each of the {factors} factors",
        )
    for key, value in made.items():
        if isinstance(value, int):
            made[key] = float(value)
    return tuple(sorted(made.items()))


def with_enactment(
    design: Design, enactment: Enactment | None, *, asked: bool = False
) -> Design:
    """Return the design with the accrual at sites, if it depends on them.

    `asked`: comparisons do.
    """
    allocation = design.allocation
    if enactment is None or not enactment.accrual.sites:
        return design
    accrual = enactment.accrual
    if _places(allocation) or allocation.clusters:
        allocation = replace(allocation, accrual=accrual)
    differ = any(one.effects for one in accrual.sites)
    sites = accrual if differ or allocation.clusters or asked else None
    return replace(design, allocation=allocation, sites=sites)


def _places(allocation: Allocation) -> set[str]:
    """Return which of site and region an allocation asks for."""
    named = {n.name for one in allocation.factors for n in names_in(one)}
    return {SITE, REGION} & {*allocation.strata, *named}


def check_enactment(
    design: Design, enactment: Enactment | None, known: Known, faults: Faults
) -> None:
    """Refuse an allocation that the course of the trial does not go with.

    One that looks at who came before is refused beside a ratio that looks change: its
    probabilities are of a ratio that is the same from the first subject on. Sites and
    regions are to be there.
    """
    allocation = design.allocation
    if enactment is not None and allocation.looks_back:
        _check_looks(allocation, enactment, faults)
    sites = enactment.accrual.sites if enactment is not None else ()
    asked = _places(allocation)
    both = sorted(asked & known.covariates)
    key = "stratified" if allocation.strata else "factors"
    if sites and both:
        faults.add(
            (*PATH, key),
            found=f"`{both[0]}`, which is a covariate of the cohort, too",
            allowed="one of both: a cohort that calls its own otherwise, or no `sites`",
        )
    elif sites or faults.sheet.value(("design", "sites")) is not None:
        if REGION in asked and sites and not any(one.region for one in sites):
            faults.add(
                (*PATH, key),
                found=f"`{REGION}`, though no site says its own",
                allowed="`site`, or sites with `region`",
            )
    elif asked - known.covariates:
        faults.add(
            (*PATH, key),
            found=f"`{min(asked - known.covariates)}`, though the design has no sites",
            allowed="a covariate; or sites at `design`: `sites: {north: {rate: 2 / "
            "month, count: 5, region: Europe}}`",
        )


def check_sites(design: Design, shape: ProtocolShape, faults: Faults) -> None:
    """Refuse what asks for sites that are not there, or that trials draw anew."""
    given = faults.sheet.value(("design", "sites"))
    for place, one in enumerate(shape.analysis):
        said = one.by if measures()[one.by].sites else "random: sites"
        key = "by" if measures()[one.by].sites else "random"
        if key == "random" and one.random != "sites":
            continue
        if not given:
            faults.add(
                ("analysis", place, key),
                found=f"`{said}`, though the design has no sites",
                allowed="given with `sites` at `design`",
            )
        for key in ("looks", "adapt", "trials", "planned"):
            if key in shape.design.model_fields_set:
                faults.add(
                    ("design", key),
                    found=f"given with a comparison by `{said}`",
                    allowed="left out: it is made at the end of the trial",
                    write="",
                )
    drawn = shape.design.trials or 0
    differ = design.sites is not None
    if differ and drawn > shape.replicates:
        faults.add(
            ("design", "trials"),
            found=f"{drawn}, of {shape.replicates} replicates, though sites differ",
            allowed="no more than replicates, whose subjects have their sites",
            write=str(shape.replicates),
        )


def _check_looks(allocation: Allocation, enactment: Enactment, faults: Faults) -> None:
    """Refuse adaptations that change who gets what."""
    for one in enactment.adaptations:
        if one.by in ALLOCATING:
            faults.add(
                (*PATH, "by"),
                found=f"`{allocation.by}`, though `adapt.{one.name}` ({one.by}) "
                "changes who gets what",
                allowed="for a ratio that stays as it is; with one that a look changes "
                "`randomisation: simple` or a permuted block until then",
            )
