"""The Protocol: a trial as data, with every time in hours and every name resolved."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Literal

from vtrial.dosing.regimen import Regimen
from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.flow import settable
from vtrial.model.model import Model, Source
from vtrial.model.tree import Expression
from vtrial.protocol.adherence import Adherence
from vtrial.protocol.analysis import Analysis
from vtrial.protocol.design import Design
from vtrial.protocol.eligible import Eligible, RunIn
from vtrial.protocol.enactment import Enactment
from vtrial.protocol.evidence import Correct, Evidence
from vtrial.protocol.optimisation import Optimisation
from vtrial.protocol.rules import Rule
from vtrial.protocol.subset import Words
from vtrial.types import Numerics


@dataclass(frozen=True)
class Arm:
    """What is done to a group: doses, values that it sets, or only a name.

    `set` replaces parameters, covariates or random effects by equations of the
    subject's covariates and parameters. Of the `rules` the first that holds at a visit
    acts. `adherence` says which doses are taken; None: all. `by_occasion` replaces
    values on each occasion by itself, where an arm is a sequence of treatments.
    """

    name: str
    title: str = ""
    regimen: Regimen | None = None
    set: tuple[tuple[str, Expression], ...] = ()
    rules: tuple[Rule, ...] = ()
    adherence: Adherence | None = None
    by_occasion: tuple[tuple[tuple[str, Expression], ...], ...] = ()

    @property
    def sets(self) -> tuple[str, ...]:
        """Name what `set` sets, as a sheet does: a rota is one name of many inputs."""
        return tuple(dict.fromkeys(settable(name) for name, _ in self.set))

    @property
    def kept(self) -> bool:
        """Whether there is a ledger: doses are not simply those of the regimen."""
        misses = self.adherence is not None and self.adherence.doses
        return bool(self.rules) or misses


@dataclass(frozen=True)
class Visit:
    """Times [h] at which outputs are measured; each is moved by up to +-`window` [h].

    At the time of a dose it is before the dose, unless `after_dose`. What is measured
    is known to those who decide `known_after` [h] later.
    """

    name: str
    times: tuple[float, ...]
    window: float = 0.0
    measure: tuple[str, ...] = ()
    after_dose: bool = False
    known_after: float = 0.0


@dataclass(frozen=True)
class Keep:
    """What the record holds beside the outcomes.

    `trajectories` is `nothing`, `quantiles`, `all`, or how many subjects. `predictions`
    are the population's, for every measured value; with variability, how much such a
    value varies, too.
    """

    trajectories: Literal["nothing", "quantiles", "all"] | int = "quantiles"
    measurements: bool = False
    predictions: Correct = "nothing"
    covariates: bool = True
    individual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossover:
    """Treatments that each subject has one after another.

    The arms of such a protocol are sequences, and its endpoints are those of a period.

    Fields
    ------
    treatments
        The arms of the sheet, as they are in a period that begins at hour 0.
    endpoints
        Those of the sheet, of such a period.
    sequences
        By arm of the protocol: the place of the treatment in each period.
    starts
        [h] When each period begins.
    length, washout
        [h] Of a period, and how long it is from its end to the next.
    paired
        Whether values are compared within pairs of periods alone.
    """

    treatments: tuple[Arm, ...]
    endpoints: tuple[Endpoint, ...]
    sequences: tuple[tuple[int, ...], ...]
    starts: tuple[float, ...]
    length: float
    washout: float = 0.0
    paired: bool = False


LEAST_BLOCK, MOST_BLOCK = 1000, 16_000  # subjects, where the sheet does not say
BLOCK_VALUES = 2_000_000  # that a block of more than the least may have under an arm


@dataclass(frozen=True, eq=False)
class Protocol:
    """A whole trial. `cohort` names a cohort sheet, to be found beside `path`.

    `grid` are the times of true values [h], ascending; one that stands twice is before
    and after the dose at it. Those at the places `added` are there for what courses do
    where they jump or bend, and no endpoint counts them. If the sheet gives a grid,
    `given`, they are no part of the trajectories that are kept, either. `words` are
    what the cohort calls codes of its categories.
    """

    name: str
    model: Model
    cohort: str
    subjects: int
    arms: tuple[Arm, ...]
    title: str = ""
    replicates: int = 1
    seed: int = 0
    block: int = LEAST_BLOCK
    potential: Literal["allocated", "all"] = "allocated"
    uncertainty: bool = True
    random_effects: Literal["on", "off"] = "on"
    eligible: Eligible | None = None
    run_in: RunIn | None = None
    design: Design = Design()
    enactment: Enactment | None = None
    crossover: Crossover | None = None
    optimisation: Optimisation | None = None
    visits: tuple[Visit, ...] = ()
    grid: tuple[float, ...] = ()
    added: tuple[int, ...] = ()
    given: bool = False
    occasions: tuple[float, ...] = (0.0,)
    endpoints: tuple[Endpoint, ...] = ()
    analysis: Analysis = Analysis()
    evidence: Evidence = Evidence()
    keep: Keep = Keep()
    numerics: Numerics = Numerics()
    sources: tuple[Source, ...] = ()
    path: str = ""
    text: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    words: Words = ()

    @functools.cached_property
    def digest(self) -> str:
        """Name what is simulated; how many replicates and what is asked of it aside.

        It is made of what the sheet means, not of how it is spelt: comments, the order
        of keys, titles and units do not count, but the order of arms, visits and
        endpoints does. Whoever knows the cohort adds its digest.
        """
        content = {
            name: _content(getattr(self, name))
            for name in self.__dataclass_fields__
            if name not in _ASIDE and (name not in _IF_ANY or getattr(self, name))
        }
        content["model"] = self.model.digest
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def uncertain(self) -> bool:
        """Whether parameters differ between trials: asked for, and not all known."""
        known = not any(map(any, self.model.population))
        known &= not any(parameter.error for parameter in self.model.parameters)
        known &= not self.model.draws
        known &= not any(block.freedom for block in self.model.random)
        return self.uncertainty and not known

    @property
    def usual_block(self) -> int:
        """How many subjects a block has if the sheet does not say: some MB."""
        times = len(self.grid) + sum(len(visit.times) for visit in self.visits)
        fits = BLOCK_VALUES // (LEAST_BLOCK * max(1, times * len(self.model.outputs)))
        return LEAST_BLOCK * max(1, min(MOST_BLOCK // LEAST_BLOCK, fits))

    @property
    def height(self) -> int:
        """How many subjects are simulated together: a block, or all there are."""
        return min(self.block, self.total)

    @property
    def total(self) -> int:
        """How many subjects all replicates have."""
        return self.subjects * self.replicates

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.total // self.block)

    def size(self, block: int) -> int:
        """Return how many subjects a block has."""
        return min(self.block, self.total - block * self.block)

    def with_parameters(self, **values: float) -> "Protocol":
        """Return the same trial with parameters of the model at other values.

        They hold under every arm, in the model's units, and are known exactly then.
        Nothing is compiled anew for other values.

        Raises
        ------
        ProtocolError
            If the model has no such parameter, if a value is no finite number, or if
            individual parameters are kept or decide who is let in, which are found
            before.

        Examples
        --------
        >>> from vtrial.protocol.load import load_protocol
        >>> protocol = load_protocol("theophylline-single-dose")
        >>> name = protocol.model.parameters[0].name
        >>> protocol.with_parameters(**{name: 2.0}).arms[0].set[0][1].value
        2.0
        """
        from vtrial.protocol.other_values import set_in_arms

        return replace(self, arms=set_in_arms(self, values))

    def labels(self, name: str) -> dict[float, str]:
        """Return the words for the values of a covariate; empty if it has none."""
        return dict(dict(self.words).get(name, ()))

    def arm(self, name: str) -> Arm:
        """Return an arm by name."""
        return next(arm for arm in self.arms if arm.name == name)

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by name."""
        return next(point for point in self.endpoints if point.name == name)


_ASIDE = {
    *("model", "title", "replicates", "analysis", "evidence", "enactment"),
    *("crossover", "optimisation", "sources", "path", "text", "data", "words"),
}
_IF_ANY = {"run_in"}  # what has none is named as before there was such a thing
WORDS = {"title", "words", "source", "sources"}


def _content(thing: object) -> object:
    """Return what a noun means as plain data, without its words or where they stood."""
    if isinstance(thing, tuple):
        return [_content(part) for part in thing]
    if is_dataclass(thing):
        parts = {
            part.name: _content(getattr(thing, part.name))
            for part in fields(thing)
            if part.compare and part.name not in WORDS
        }
        return [type(thing).__name__, parts]
    return thing if isinstance(thing, str | int | bool | None) else repr(thing)
