"""Read accrual, looks and adaptations of a trial from its sheet."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.protocol.adaptation_kinds import FAMILIES, AdaptationKind, adaptation_kinds
from vtrial.protocol.alike import check_alike
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.borrowing import RULE, read_borrowing
from vtrial.protocol.early import check_early, with_early
from vtrial.protocol.enactment import (
    ALLOCATING,
    Accrual,
    Adaptation,
    Enactment,
    Look,
    Milestone,
    Stretch,
)
from vtrial.protocol.enactment_shape import AdaptationShape, LookShape, StretchShape
from vtrial.protocol.escalation import read_escalation
from vtrial.protocol.faults import Faults
from vtrial.protocol.look_times import check_known
from vtrial.protocol.milestones import read_at, read_when
from vtrial.protocol.presence import read_presence
from vtrial.protocol.rates import rate_in
from vtrial.protocol.shape import DesignShape, ProtocolShape
from vtrial.protocol.sites import read_sites
from vtrial.protocol.times import duration, moment
from vtrial.protocol.values import effect_in, share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

PATH = ("design",)
SHARES = (
    "alpha",
    "success",
    "floor",
    "below",
    "power",
    "least",
    "alike",
)  # options that are shares
KEYS = (
    *("accrual", "sites", "arrivals", "outcome", "known_after", "planned"),
    *("looks", "adapt", "borrow", "joins", "leaves", "controls"),
)


def read_enactment(
    whole: ProtocolShape,
    subjects: int,
    endpoints: Sequence[Endpoint],
    comparisons: Sequence[Comparison],
    *,
    faults: Faults,
) -> Enactment | None:
    """Read how the trial goes on; None where the sheet says nothing about it."""
    shape, arms, potential = whole.design, tuple(whole.arms), whole.potential
    if not {*KEYS, "stop", "trials", "escalation"} & shape.model_fields_set:
        return None
    before = len(faults.entries)
    escalation = read_escalation(
        shape.escalation,
        arms,
        endpoints,
        subjects=subjects,
        potential=potential,
        accrual=bool(shape.accrual or shape.sites),
        faults=faults,
    )
    planned = _planned(shape, subjects, faults)
    outcome = _outcome(shape, endpoints, comparisons, faults)
    looks = _looks(shape, planned, faults)
    made = Enactment(
        accrual=_accrual(shape, subjects, faults),
        outcome=outcome,
        delay=_delay(shape, faults),
        looks=looks,
        planned=planned,
        trials=shape.trials or 0,
        stop=shape.stop,
        escalation=escalation,
    )
    made = _decided(made, whole, endpoints, comparisons, faults)
    if made.trials > whole.replicates and potential != "all":
        faults.add(
            (*PATH, "trials"),
            found=f"{made.trials}, of {whole.replicates} replicates",
            allowed="no more than replicates, for further ones draw subjects who must "
            "be simulated under every arm: `potential: all`",
            write=str(whole.replicates),
        )
    if len(faults.entries) == before:
        made = with_early(made, shape.looks, comparisons, endpoints, faults)
        _check_whole(shape, made, potential, endpoints, faults)
    return made


def _decided(
    made: Enactment,
    whole: ProtocolShape,
    endpoints: Sequence[Endpoint],
    comparisons: Sequence[Comparison],
    faults: Faults,
) -> Enactment:
    """Read what looks decide, what is borrowed for it, and when arms are there."""
    shape, arms = whole.design, tuple(whole.arms)
    reader = _Reader(arms, endpoints, comparisons, made.looks, made.outcome, faults)
    adaptations = [reader.read(name, one) for name, one in shape.adapt.items()]
    read = tuple(one for one in adaptations if one)
    return replace(
        made,
        adaptations=read,
        borrowed=read_borrowing(
            *(shape.borrow, arms, endpoints, comparisons),
            outcome=made.outcome,
            ruled={name for one in read if one.by == RULE for name in one.on},
            faults=faults,
        ),
        presence=read_presence(
            *(shape.joins, shape.leaves, shape.controls),
            arms=arms,
            looks=[look.name for look in made.looks],
            faults=faults,
        ),
    )


def _planned(shape: DesignShape, subjects: int, faults: Faults) -> int:
    """Return how many subjects are enrolled if nothing is changed."""
    if shape.planned is None:
        return subjects
    if shape.planned > subjects:
        faults.add(
            (*PATH, "planned"),
            found=f"{shape.planned}, of {subjects} subjects",
            allowed=f"at most the {subjects} subjects that a trial has at most",
        )
    return shape.planned


def _outcome(
    shape: DesignShape,
    endpoints: Sequence[Endpoint],
    comparisons: Sequence[Comparison],
    faults: Faults,
) -> str:
    """Name the endpoint by which looks count."""
    names = [one.name for one in endpoints]
    if shape.outcome is not None:
        if shape.outcome not in names:
            faults.unknown((*PATH, "outcome"), shape.outcome, names, "endpoint")
        return shape.outcome
    if comparisons:
        return comparisons[0].endpoint
    if names:
        return names[0]
    faults.add(
        (*PATH, "looks") if shape.looks else PATH,
        found="about a trial without an endpoint",
        allowed="about one that has `endpoints`, by which looks count who is known",
    )
    return ""


def _accrual(shape: DesignShape, subjects: int, faults: Faults) -> Accrual:
    """Read the rates at which subjects come, in all or at sites."""
    stretches: list[Stretch] = []
    single = not isinstance(faults.sheet.value((*PATH, "accrual")), list)
    for place, one in enumerate(shape.accrual or ()):
        path: Path_ = (*PATH, "accrual") if single else (*PATH, "accrual", place)
        named = isinstance(faults.sheet.value(path), Mapping)
        made = _stretch(one, path, stretches, named=named, faults=faults)
        stretches += made
    if stretches and not stretches[-1].last > 0:
        faults.add(
            (*PATH, "accrual"),
            found="a last rate at which nobody comes",
            allowed="a rate above 0 to the end, so that all subjects come",
        )
    return read_sites(
        shape.sites,
        Accrual(tuple(stretches), shape.arrivals),
        subjects,
        said="accrual" in shape.model_fields_set,
        faults=faults,
    )


def _stretch(
    shape: StretchShape,
    path: Path_,
    before: Sequence[Stretch],
    *,
    named: bool,
    faults: Faults,
) -> list[Stretch]:
    """Read one rate; with a slope before it where it rises."""
    try:
        start = moment(shape.start)
    except ProtocolError as error:
        faults.relay((*path, "from"), error)
        return []
    try:
        rate = rate_in(shape.rate, such="20 / month")
    except ProtocolError as error:
        faults.relay((*path, "rate") if named else path, error)
        return []
    if before and start <= before[-1].start:
        faults.add(
            (*path, "from"),
            found=f"`{shape.start}`",
            allowed="later than the rate before it",
        )
        return []
    if shape.rising is None:
        return [Stretch(start, rate, rate)]
    try:
        length = duration(shape.rising)
    except ProtocolError as error:
        faults.relay((*path, "rising"), error)
        return []
    first = before[-1].last if before else 0.0
    return [Stretch(start, first, rate), Stretch(start + length, rate, rate)]


def _delay(shape: DesignShape, faults: Faults) -> float:
    """Read how long outcomes take until they are known [h]."""
    if shape.known_after is None:
        return 0.0
    try:
        return duration(shape.known_after)
    except ProtocolError as error:
        faults.relay((*PATH, "known after"), error)
        return 0.0


def _looks(shape: DesignShape, planned: int, faults: Faults) -> tuple[Look, ...]:
    """Read all looks, in the order of the sheet; one at the end if it has none."""
    if not shape.looks:
        return (Look("end", ((Milestone("known", 1.0, "subjects"),),), 1.0),)
    looks = [_look(name, one, planned, faults) for name, one in shape.looks.items()]
    return tuple(_informed(looks, planned))


def _informed(looks: Sequence[Look], planned: int) -> Iterator[Look]:
    """Say the share of the information where counters of one kind tell it."""
    ends = _alone(looks[-1])
    for look in looks:
        one = _alone(look)
        if look.information is None and ends and one and one.counter == ends.counter:
            share = min(one.counted(planned) / ends.counted(planned), 1.0)
            look = replace(look, information=share)  # noqa: PLW2901
        yield look


def _alone(look: Look) -> Milestone | None:
    """Return the one milestone of a look if it counts outcomes; else nothing."""
    if len(look.when) != 1 or len(look.when[0]) != 1:
        return None
    (one,) = look.when[0]
    return one if one.counter in ("known", "events") else None


def _look(name: str, shape: LookShape, planned: int, faults: Faults) -> Look:
    """Read one look."""
    path = (*PATH, "looks", name)
    whole = isinstance(faults.sheet.value(path), Mapping)
    information = None
    if (shape.at is None) == (shape.when is None):
        both = "both `at` and `when`" if shape.at is not None else "neither"
        faults.add(path, found=both, allowed="one of `at` and `when`")
        return Look(name, ())
    if shape.at is not None:
        at = (*path, "at") if whole else path
        when = read_at(at, shape.at, faults)
        shares = [one.number for parts in when for one in parts if one.of]
        information = shares[0] if shares else None
    else:
        when = read_when((*path, "when"), shape.when or "", planned, faults)
    if shape.information is not None:
        try:
            information = share_in(shape.information)
        except ProtocolError as error:
            faults.relay((*path, "information"), error)
    for parts in when:
        for one in parts:
            most = 1.0 if one.of else float(planned)
            if one.counter != "hours" and one.number > most:
                faults.add(
                    path,
                    found=f"{one.number:g} {one.counter}, of {planned} subjects",
                    allowed=f"at most the {planned} subjects that are enrolled",
                )
    return Look(name, when, information)


class _Reader:
    """Read adaptations against what they may name."""

    def __init__(
        self,
        arms: Sequence[str],
        endpoints: Sequence[Endpoint],
        comparisons: Sequence[Comparison],
        looks: Sequence[Look],
        outcome: str,
        faults: Faults,
    ) -> None:
        self.arms, self.endpoints, self.outcome = arms, endpoints, outcome
        self.comparisons = {one.name: one for one in comparisons}
        self.looks = [look.name for look in looks]
        self.faults = faults

    def read(self, name: str, shape: AdaptationShape) -> Adaptation | None:
        """Read one adaptation; None if it makes no sense."""
        path = (*PATH, "adapt", name)
        kind, before = adaptation_kinds()[shape.by], len(self.faults.entries)
        given = {
            key.replace("_", " ")
            for key in shape.model_fields_set
            if getattr(shape, key) is not None
        } - {"by", "on", "looks", "better"}
        for key in sorted(given - {*kind.options}):
            self.faults.add(
                (*path, key),
                found=f"given with `by: {kind.word}`",
                allowed=f"left out, or one of {listed(kind.options, like=key)}",
            )
        for key, such in kind.needs:
            if key not in given:
                self.faults.add(
                    path,
                    found=f"without `{key}`",
                    allowed=f"`by: {kind.word}` with `{key}: {such}`",
                )
        on = self._on(path, shape, kind)
        looks = self._named(path, shape.looks)
        if kind.word == "select subgroup":
            self._check_subgroup(path, on)
        tested = [self.comparisons[one] for one in on if one in self.comparisons]
        check_early(path, shape, tested, self.endpoints, self.faults)
        if "alike" in given:
            check_alike(
                path, given, [self.comparisons.get(name) for name in on], self.faults
            )
        options = self._options(path, shape, given, on)
        if len(self.faults.entries) > before:
            return None
        better = shape.better or "higher"
        return Adaptation(name, kind.word, on, looks, better, options)

    def _on(
        self, path: Path_, shape: AdaptationShape, kind: AdaptationKind
    ) -> tuple[str, ...]:
        """Name what it is on."""
        if kind.of == "endpoint":
            known, noun = [one.name for one in self.endpoints], "endpoint"
            named = shape.on or [self.outcome]
        else:
            known, noun = list(self.comparisons), "comparison"
            named = shape.on or known
            if not known:
                self.faults.add(
                    path,
                    found=f"`by: {kind.word}`, but the sheet compares nothing",
                    allowed="a comparison in `analysis`, such as "
                    "`- {compare: A with B, on: ENDPOINT, by: risk difference}`",
                )
        for name in named:
            if name not in known and known:
                self.faults.unknown((*path, "on"), name, known, noun)
        if kind.of == "endpoint" and len(named) > 1:
            self.faults.add(
                (*path, "on"), found="several endpoints", allowed="one endpoint"
            )
        return tuple(named)

    def _named(self, path: Path_, names: Sequence[str] | None) -> tuple[int, ...]:
        """Return the places of looks."""
        if not self.looks:
            self.faults.add(
                path,
                found="something to decide, but there are no looks",
                allowed="decided at looks: `looks: {interim: 50 %, final: 100 %}`",
            )
            return ()
        for name in names or ():
            if name not in self.looks:
                self.faults.unknown((*path, "looks"), name, self.looks, "look")
        asked = names or self.looks
        return tuple(i for i, name in enumerate(self.looks) if name in asked)

    def _options(
        self,
        path: Path_,
        shape: AdaptationShape,
        given: set[str],
        on: tuple[str, ...],
    ) -> tuple[tuple[str, float | str | bool | tuple[float, ...]], ...]:
        """Read the other options: shares, words, numbers."""
        made: dict[str, float | str | bool | tuple[float, ...]] = {}
        for key in sorted(given):
            value = getattr(shape, key.replace(" ", "_"))
            try:
                if key == "futility":
                    made[key] = self._futility(shape.by, value)
                elif key in ("margin", "heterogeneity", "spread"):
                    made[key] = self._margin(value, on)
                elif key in SHARES:
                    made[key] = share_in(value)
                elif isinstance(value, list) and key.endswith("parameter"):
                    made[key] = tuple(map(float, value))
                elif key == "information":
                    made[key] = self._information((*path, key), str(value))
                elif key == "keep":
                    made |= self._kept(path, value)
                else:
                    made[key] = value  # type: ignore[assignment] # no list is left
            except ProtocolError as error:
                self.faults.relay((*path, key), error)
        self._check_shares(path, made)
        for key, value in made.items():
            if isinstance(value, int) and not isinstance(value, bool):
                made[key] = float(value)
        return tuple(sorted(made.items()))

    def _check_shares(self, path: Path_, made: Mapping[str, object]) -> None:
        """Refuse an error of half, and floors that do not leave room for an arm."""
        alpha, floor = made.get("alpha"), made.get("floor")
        if isinstance(alpha, float) and not 0 < alpha < 0.5:
            self.faults.add(
                (*path, "alpha"),
                found=f"{alpha:g}",
                allowed="one-sided, above 0 and below 50 %, such as `2.5 %`",
            )
        if isinstance(floor, float) and floor * len(self.arms) > 1:
            self.faults.add(
                (*path, "floor"),
                found=f"{floor:.3g} for each of {len(self.arms)} arms",
                allowed=f"at most {1 / len(self.arms):.3g}, so that all have room",
            )

    def _futility(self, by: str, value: object) -> float | str | tuple[float, ...]:
        """Read when one stops for futility: a family, bounds, or a probability."""
        if by != "group sequential":
            if not isinstance(value, float | int | str):
                raise ProtocolError(
                    at="futility",
                    found="a list",
                    allowed="one probability, such as `10 %`",
                    write="",
                )
            return share_in(value)
        if isinstance(value, list) or not isinstance(value, str):
            many = value if isinstance(value, list) else [value]
            return tuple(float(str(one)) for one in many)
        if value not in FAMILIES:
            raise ProtocolError(
                at="futility",
                found=f"`{value}`",
                allowed=f"boundaries of z, or one of {listed(FAMILIES, like=value)}",
                write="",
            )
        return value

    def _margin(self, value: float | str, on: tuple[str, ...]) -> float:
        """Read an effect that is to be exceeded, in the comparison's unit."""
        first = self.comparisons.get(on[0]) if on else None
        named = [one for one in self.endpoints if first and one.name == first.endpoint]
        unit = named[0].unit if named and first and not first.measure.ratio else "1"
        return effect_in(value, unit)

    def _check_subgroup(self, path: Path_, on: tuple[str, ...]) -> None:
        """Refuse what is no comparison of everybody, and the same of a subgroup."""
        found = [self.comparisons[name] for name in on if name in self.comparisons]
        if len(found) != len(on):
            return
        alike = {(one.arm, one.reference, one.endpoint, one.by) for one in found}
        where = [one.where is not None for one in found]
        if len(alike) == 1 and where == [False, True]:
            return
        said = self.faults.sheet.value((*path, "on")) is not None
        self.faults.add(
            (*path, "on") if said else path,
            found=f"on {listed(on) or 'nothing'}",
            allowed="two comparisons of the same arms on the same endpoint: of "
            "everybody, and of the subgroup by its `where`, in this order",
        )

    def _information(self, path: Path_, value: str) -> str:
        """Read what full information is: so many events, or subjects known."""
        found = re.fullmatch(r"([1-9]\d*) (events|known)", value.strip())
        timed = {one.name for one in self.endpoints if one.event}
        if found is None:
            self.faults.add(
                path,
                found=f"`{value}`",
                allowed="how many events or known outcomes, such as `300 events` or "
                "`400 known`",
            )
        elif found[2] == "events" and self.outcome not in timed:
            self.faults.add(
                path,
                found=f"events, but `{self.outcome}` is no time to one",
                allowed=f"known outcomes, such as `{found[1]} known`",
            )
        return value.strip()

    def _kept(self, path: Path_, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """Return the places of arms that are never dropped."""
        for name in names:
            if name not in self.arms:
                self.faults.unknown((*path, "keep"), name, self.arms, "arm")
        return {"keep": tuple(float(i) for i, n in enumerate(self.arms) if n in names)}


def _check_whole(
    shape: DesignShape,
    made: Enactment,
    potential: str,
    endpoints: Sequence[Endpoint],
    faults: Faults,
) -> None:
    """Refuse looks out of order, and allocation to arms that a record lacks."""
    if made.allocates and potential != "all":
        by = [one.by for one in made.adaptations if one.by in ALLOCATING]
        why = f"a look changes who gets what (`by: {by[0]}`)" if by else "arms join "
        faults.add(
            ("potential",),
            found=f"`allocated`, though {why if by else why + 'or leave'}",
            allowed="`potential: all`, for a subject may get any arm then",
            write="all",
        )
    check_known(made, endpoints, faults)
    events = {one.name for one in endpoints if one.event}
    for look in made.looks:
        counted = {one.counter for parts in look.when for one in parts}
        if "events" in counted and made.outcome not in events:
            faults.add(
                (*PATH, "looks", look.name),
                found=f"counts events, but `{made.outcome}` is no time to one",
                allowed="`known` subjects, or `outcome` names an endpoint that is a "
                f"time to an event: {listed(events)}"
                if events
                else "`known` or `enrolled` subjects, for no endpoint is a time",
            )
    shares = [one.information for one in made.looks]
    known = [one for one in shares if one is not None]
    if any(b <= a for a, b in zip(known, known[1:], strict=False)):
        faults.add(
            (*PATH, "looks"),
            found="shares " + ", ".join(f"{one:g}" for one in known),
            allowed="each look later than the one before",
        )
