"""Sites of a trial: at which rates they enrol, from when on, and how many."""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Accrual, Site, SiteEffect, Stretch
from vtrial.protocol.faults import Faults
from vtrial.protocol.field_types import Name, OrSaid, Shape, Value
from vtrial.protocol.rates import rate_in
from vtrial.protocol.scope import Known
from vtrial.protocol.times import duration, moment
from vtrial.sheets.sheet import Path_

PATH = ("design", "sites")
MOST_SITES = 2000
RANDOM = "eta."


class SiteShape(Shape):
    """A site, or several that are alike."""

    rate: Name = Field(
        description="How many come to each of them.", examples=["2 / month"]
    )
    rising: Name | None = Field(
        None,
        description="How long the rate rises to this, from nobody, once a site opens.",
        examples=["3 mo"],
    )
    count: int = Field(1, ge=1, le=MOST_SITES, description="How many are alike.")
    opens: Name = Field(
        "day 0", description="From the first day of the trial; the first of them."
    )
    every: Name | None = Field(
        None,
        description="How long after the one before the next of them opens; all open "
        "together if left out.",
        examples=["2 wk"],
    )
    cap: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How many each enrols at most; without limit if left out.",
    )
    region: Name | None = Field(
        None, description="Where they are.", examples=["Europe"]
    )
    effects: dict[Name, Value] = Field(
        default_factory=dict,
        description="By how much they differ in inputs of the model: a CV, or a "
        "standard deviation.",
        examples=[{"eta.CL": "10 %", "WT": 3}],
    )


def as_site(value: object) -> object:
    """Make a map of the rate of a site alone."""
    return value if isinstance(value, dict) else {"rate": value}


Sites = dict[Name, Annotated[SiteShape, BeforeValidator(as_site), OrSaid()]]


def read_sites(
    sites: Mapping[str, SiteShape],
    accrual: Accrual,
    subjects: int,
    *,
    said: bool,
    faults: Faults,
) -> Accrual:
    """Return the accrual at sites; as it is where there are none.

    `said`: the sheet has `accrual`, too.
    """
    if not sites:
        return accrual
    before = len(faults.entries)
    if said:
        faults.add(
            PATH,
            found="given beside `accrual`",
            allowed="one or the other: the rates of sites are those of the trial",
        )
    found: list[Site] = []
    for name, shape in sites.items():
        found += _alike(name, shape, faults)
    if len(faults.entries) > before:
        return accrual
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults.add(
            PATH,
            found=f"two sites `{twice[0]}`",
            allowed="names that differ, also with the numbers of sites that are alike",
        )
    if len(found) > MOST_SITES:
        faults.add(
            PATH, found=f"{len(found)} sites", allowed=f"at most {MOST_SITES} in all"
        )
    room = sum(one.cap or subjects for one in found)
    if room < subjects:
        faults.add(
            PATH,
            found=f"sites that enrol {room} at most, of {subjects} subjects",
            allowed=f"room for all {subjects}: higher caps, more sites, or fewer "
            "subjects",
        )
    return Accrual(by=accrual.by, sites=tuple(found))


def _alike(name: str, shape: SiteShape, faults: Faults) -> list[Site]:
    """Read one entry: a site, or several that are alike."""
    path, before = (*PATH, name), len(faults.entries)
    named = isinstance(faults.sheet.value(path), Mapping)

    def read(key: str, reader, words: str | None, usual: float) -> float:  # noqa: ANN001
        try:
            return usual if words is None else reader(words)
        except ProtocolError as error:
            faults.relay((*path, key) if named else path, error)
            return usual

    rate = read("rate", lambda text: rate_in(text, such="2 / month"), shape.rate, 1.0)
    opens = read("opens", moment, shape.opens, 0.0)
    rising = read("rising", duration, shape.rising, 0.0)
    every = read("every", duration, shape.every, 0.0)
    if not rate > 0:
        faults.add(
            (*path, "rate") if named else path,
            found=f"`{shape.rate}`, at which nobody comes",
            allowed="a rate above 0; a site at which nobody is enrolled is left out",
        )
    if shape.every is not None and shape.count == 1:
        faults.add(
            (*path, "every"),
            found="given of one site",
            allowed="left out, or given with `count`, of how many are alike",
        )
    effects = _effects((*path, "effects"), shape.effects, faults)
    if len(faults.entries) > before:
        return []
    made = []
    for place in range(shape.count):
        start = opens + place * every
        stretches = (Stretch(start, rate, rate),)
        if rising:
            after = start + rising
            stretches = (Stretch(start, 0.0, rate), Stretch(after, rate, rate))
        made.append(
            Site(
                name if shape.count == 1 else f"{name} {place + 1}",
                stretches,
                shape.cap or 0,
                shape.region or "",
                name,
                (place + 0.5) / shape.count,
                effects,
            )
        )
    return made


def _effects(
    path: Path_, given: Mapping[str, float | str], faults: Faults
) -> tuple[SiteEffect, ...]:
    """Read by how much sites differ; names are held against the model later."""
    found = []
    for target, value in given.items():
        text = str(value).strip()
        relative = text.endswith("%")
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            faults.add(
                (*path, target),
                found=f"`{value}`",
                allowed="a coefficient of variation between sites, `10 %`, or a "
                "standard deviation in the unit of the model",
            )
            continue
        spread = math.sqrt(math.log1p((number / 100) ** 2)) if relative else number
        # An effect on a logarithm is added to it.
        added = target.startswith(RANDOM)
        found.append(SiteEffect(target, spread, relative and not added))
    return tuple(found)


def check_effects(accrual: Accrual, known: Known, faults: Faults) -> None:
    """Refuse effects of sites on what no subject brings."""
    if known.model is None:
        return
    names = {*known.model.inputs, *known.covariates}
    told = set()
    for site in accrual.sites:
        for one in site.effects:
            if one.target not in names and (site.of, one.target) not in told:
                told.add((site.of, one.target))
                path = (*PATH, site.of, "effects", one.target)
                faults.unknown(path, one.target, sorted(names), "input of the model")
