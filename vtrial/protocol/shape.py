"""The shape of a protocol sheet: which keys it has, and what may stand at them.

Nothing is resolved here. Words stay words; `vtrial.protocol.load` gives them meaning.
"""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtrial.endpoint.endpoint import Strategy
from vtrial.endpoint.kind import Below
from vtrial.endpoint.registry import kinds
from vtrial.protocol.adherence_shape import AdherenceShape
from vtrial.protocol.borrowing import BorrowShape
from vtrial.protocol.comparison_shape import ComparisonShape, MultiplicityShape
from vtrial.protocol.crossover_shape import CrossoverShape
from vtrial.protocol.dropout_shape import DropoutShape
from vtrial.protocol.enactment_shape import Accruals, AdaptationShape, Looks
from vtrial.protocol.escalation import EscalationShape
from vtrial.protocol.evidence import Correct, Statistic
from vtrial.protocol.field_types import (
    MOST,
    Margin,
    Name,
    Names,
    OneOrMany,
    OrEmpty,
    Setting,
    Shape,
    Texts,
    Truth,
    Value,
    Words,
    as_below,
    as_many,
    as_maybe_empty,
    as_number_or_text,
    as_trajectories,
    as_values,
    as_within,
)
from vtrial.protocol.observed_shape import (
    LowerLimit,
    ObservedShape,
    SourceShape,
    UpperLimit,
)
from vtrial.protocol.optimisation_shape import Optimise
from vtrial.protocol.population_shape import (
    Counts,
    Eligible,
    ParametersFile,
    RunInShape,
)
from vtrial.protocol.randomisation_shape import Randomisation, RandomisationShape
from vtrial.protocol.rule_shape import RuleShape
from vtrial.protocol.sites import Sites
from vtrial.sheets.validate import sheet_name
from vtrial.types import Method


class ArmShape(Shape):
    """What is done to a group: doses, values it sets, or nothing."""

    title: str = Field("", description="What reports call the arm.")
    dose: Texts | None = Field(
        None,
        description="Dosing words, or a list of them given together.",
        examples=["75 mg/m2 over 1 h every 21 d x 6", "100 mg every 24 h x 14"],
    )
    set: dict[str, Setting] = Field(
        default_factory=dict,
        description="Values or equations of parameters, covariates, random effects.",
        examples=[{"SLOPE": "0.5 * SLOPE"}],
    )
    rules: Names | None = Field(
        None,
        description="Names of the rules that hold here; all if left out.",
        examples=[["hold", "reduce"]],
    )
    adherence: AdherenceShape | None = Field(
        None,
        description="Which doses are taken, and which visits held; all if left out.",
        examples=[{"taken": "85 %"}],
    )


class LevelShape(Shape):
    """What is done at a level of a factor."""

    title: str = Field("", description="What reports call it.")
    dose: Texts | None = Field(None, description="Dosing words, beside other factors'.")
    set: dict[str, Setting] = Field(
        default_factory=dict,
        description="Values or equations of parameters, covariates, random effects.",
    )


class VisitShape(Shape):
    """When outputs are measured."""

    at: Texts = Field(
        description="Times from the start of the trial, day 0.",
        examples=["day 0, day 7, day 14", "144 h, 145 h", "cycle 1 + 7 d"],
    )
    repeat: Name | None = Field(
        None,
        description="Repeat these times.",
        examples=["every 21 d x 6", "every 7 d until day 84"],
    )
    window: Name | None = Field(
        None,
        description="How far a visit may be from its time, either way.",
        examples=["2 h", "1 d"],
    )
    measure: Annotated[list[str], Field(min_length=1)] = Field(
        description="Outputs of the model, measured with their residual error.",
        examples=[["conc"]],
    )
    after_dose: bool = Field(
        False,
        alias="after dose",
        description="At the time of a dose: after it, not before.",
    )
    known_after: Name | None = Field(
        None,
        alias="known after",
        description="How long until those who decide know what was measured.",
        examples=["2 d"],
    )


class DesignShape(Shape):
    """How subjects are spread over the arms, and how long they stay."""

    allocation: dict[str, Annotated[int, Field(ge=1, le=1000)]] | None = Field(
        None,
        description="Weight of each arm; equal if left out.",
        examples=[{"low": 1, "high": 2}],
    )
    randomisation: Randomisation = Field(
        RandomisationShape.model_construct(),
        description="How: one word, or a map with a block size, or with `by`.",
        examples=["simple", {"permuted block": 6}],
    )
    crossover: CrossoverShape | None = Field(
        None,
        description="Every subject has several arms, one after another.",
        examples=[{"period": "4 d", "washout": "10 d"}],
    )
    dropout: DropoutShape | None = Field(None, description="Nobody if left out.")
    accrual: Accruals | None = Field(
        None,
        description="How fast subjects come; all are there at once if left out.",
        examples=["20 / month"],
    )
    sites: Sites = Field(
        default_factory=dict,
        description="Where subjects come, by name, instead of `accrual`: how fast.",
        examples=[{"north": {"rate": "2 / month", "count": 5, "cap": 12}}],
    )
    arrivals: Literal["fixed", "poisson"] = Field(
        "fixed", description="Evenly, or by chance at these rates."
    )
    outcome: Name | None = Field(
        None,
        description="The endpoint by which looks count who is known; that of the "
        "first comparison if left out.",
    )
    known_after: Name | None = Field(
        None,
        alias="known after",
        description="How long until an outcome is reported.",
        examples=["7 d"],
    )
    planned: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="How many are enrolled unless a look changes it; all if left out.",
    )
    looks: Looks = Field(
        default_factory=dict,
        description="When the data are looked at, by name; the last one is the end.",
        examples=[{"interim": "50 %", "final": "100 %"}],
    )
    adapt: dict[str, AdaptationShape] = Field(
        default_factory=dict,
        description="What looks decide, by name.",
        examples=[{"stop": {"by": "group sequential"}}],
    )
    borrow: dict[str, BorrowShape] = Field(
        default_factory=dict,
        description="What arms showed in earlier trials, by arm: the prior of a "
        "posterior probability.",
    )
    joins: dict[str, Name] = Field(
        default_factory=dict,
        description="When an arm joins, if not on the first day, or at which look.",
        examples=[{"third": "month 6"}],
    )
    leaves: dict[str, Name] = Field(
        default_factory=dict,
        description="When an arm takes nobody any more, or from which look on.",
        examples=[{"first": "month 12"}],
    )
    controls: Literal["concurrent", "all"] | None = Field(
        None,
        description="Whom an arm is compared with: who was enrolled while both were "
        "open (if left out, and an arm joins), or all.",
    )
    stop: Literal["all decided", "first success"] = Field(
        "all decided", description="When a trial with several comparisons ends early."
    )
    escalation: EscalationShape | None = Field(
        None, description="Doses that go up by cohorts, instead of looks."
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="How many are enacted; one a replicate if left out, with more "
        "their subjects are drawn from all that are simulated.",
    )


Take = Annotated[
    str,
    BeforeValidator(Words(*kinds(), place="take", page="protocol.md")),
    WithJsonSchema({"enum": list(kinds()), "type": "string"}),
]


class EndpointShape(Shape):
    """One number for each subject."""

    of: Name | None = Field(
        None,
        description="An output of the model, or an equation of outputs and covariates.",
        examples=["conc", "conc / MIC"],
    )
    take: Take | None = Field(
        None,
        description="How the number is made of the output's values.",
        examples=["maximum"],
    )
    equals: Name | None = Field(
        None,
        description="An equation of other endpoints and covariates, instead.",
        examples=["last_area / first_area"],
    )
    first_of: Annotated[list[str], Field(min_length=2)] | None = Field(
        None,
        alias="first of",
        description="Times to events, of which the first counts, instead.",
    )
    unit: Name | None = Field(
        None, description="Of what `equals` gives, or an equation at `of`."
    )
    at: Name | None = Field(None, description="One time.", examples=["day 14"])
    within: Name | None = Field(
        None,
        description="A span of time, both ends included; the whole trial if left out.",
        examples=["cycle 1", "day 4 to day 5"],
    )
    baseline: Name | None = Field(
        None, description="Time of the baseline; day 0 if left out."
    )
    low: Value | None = Field(None, description="Lower limit of a range of values.")
    high: Value | None = Field(None, description="Upper limit of a range of values.")
    share: Value | None = Field(
        None,
        description="Of the values that are below a percentile.",
        examples=["90 %"],
    )
    confirmed: Annotated[int | str, BeforeValidator(as_number_or_text)] | None = Field(
        None,
        description="So many values, or values for so long, confirm it.",
        examples=[2, "28 d"],
    )
    grades: Annotated[list[Value], Field(min_length=2)] | Name | None = Field(
        None,
        description="Limits from grade 1 on, or a laboratory value of CTCAE.",
        examples=["neutrophils", [3, 5, 20]],
    )
    lower_limit: LowerLimit = None
    upper_limit: UpperLimit = None
    above: Value | None = Field(None, description="A response is a number above it.")
    below: Value | None = Field(None, description="A response is a number below it.")
    values: Annotated[
        Literal["measured", "true"] | None, BeforeValidator(as_values), Truth()
    ] = Field(
        None,
        description="Measured at visits, or true on the grid; measured if left out, "
        "and true for what is drawn by a hazard or is a time itself.",
    )
    visits: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Visits that count; all that measure it if left out."
    )
    below_quantification: Annotated[Below | None, BeforeValidator(as_below)] = Field(
        None,
        alias="below quantification",
        description="What measured values below the output's `lloq` count as; `zero "
        "before first` for non-compartmental numbers if left out, else `LLOQ/2`.",
    )
    intercurrent: dict[
        str,
        Annotated[
            Strategy, BeforeValidator(Words(*get_args(Strategy), place="strategy"))
        ],
    ] = Field(
        default_factory=dict,
        description="How events (endpoints that are times to one, or `dropout`) are "
        "dealt with.",
        examples=[{"rescue": "composite", "dropout": "while on treatment"}],
    )
    failure: Value | None = Field(
        None, description="The number after an event of the composite strategy."
    )
    title: str = Field("", description="What reports call the endpoint.")


class PublishedShape(Shape):
    """What a real trial saw."""

    value: Value = Field(
        description="The number that was published.", examples=["75.4 %", 2.1]
    )
    within: Annotated[
        float | str | list[float | str], BeforeValidator(as_within), Margin()
    ] = Field(
        description="How near the simulated value should be: a margin or two limits.",
        examples=["5 pp", 0.3, [1.8, 2.4]],
    )
    arm: Name | None = Field(None, description="Of this arm; with `endpoint`.")
    endpoint: Name | None = Field(None, description="Of this endpoint, in the arm.")
    comparison: Name | None = Field(None, description="Name of a comparison.")
    where: Name | None = Field(
        None,
        description="A condition on covariates: of whom in the arm.",
        examples=["AGE >= 65"],
    )
    statistic: (
        Annotated[
            Statistic, BeforeValidator(Words(*get_args(Statistic), place="statistic"))
        ]
        | None
    ) = Field(None, description="`share` for responses, else `mean` if left out.")
    verified: bool = Field(
        True, description="Whether the number was read in the source itself."
    )
    source: SourceShape = Field(SourceShape(), description="Where it is from.")


class KeepShape(Shape):
    """What the record holds beside the outcomes."""

    trajectories: Annotated[str, BeforeValidator(as_trajectories)] = Field(
        "quantiles",
        description="Of true courses: `nothing`, `quantiles`, `all` or `first N`.",
        examples=["nothing", "quantiles", "all", "first 20"],
    )
    measurements: bool = Field(False, description="Whether every measured value is.")
    predictions: Annotated[Correct, BeforeValidator(Words(*get_args(Correct)))] = Field(
        "nothing", description="Of the population, for every measured value."
    )
    covariates: bool = Field(True, description="Whether those of each subject are.")
    individual: list[str] = Field(
        default_factory=list, description="Individual parameters.", examples=[["CL"]]
    )


class GridShape(Shape):
    """Even steps at which true values are computed."""

    every: Name = Field(description="The step.", examples=["12 h"])
    until: Name | None = Field(
        None,
        description="The end of these steps; that of the trial if left out.",
        examples=["day 42"],
    )


class NumericsShape(Shape):
    """How equations are solved."""

    method: Annotated[Method, BeforeValidator(Words(*get_args(Method)))] = Field(
        "auto", description="How; `auto` finds out what suits the model."
    )
    rtol: float = Field(1e-6, gt=0, le=0.1, description="Relative tolerance.")
    atol: float = Field(
        1e-9, gt=0, description="Of states of size one or above; of smaller ones less."
    )
    atol_by_state: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Of these states, whatever their size."
    )
    precision: Literal[32, 64] = Field(64, description="Bits of a number.")
    max_steps: int = Field(
        200_000, ge=1, le=100_000_000, description="Of a subject, before it fails."
    )
    past: int = Field(1024, ge=16, le=1_000_000, description="Steps kept of a past.")


class ProtocolShape(Shape):
    """A trial: what is done, what is measured, and what is asked."""

    protocol: Annotated[str, BeforeValidator(sheet_name)] = Field(
        description="Its name; letters, digits, `-`, `_` and `.`.",
        examples=["docetaxel-dose"],
    )
    title: str = Field("", description="What the trial is, in words.")
    source: Annotated[list[SourceShape], BeforeValidator(as_many), OneOrMany()] = Field(
        default_factory=list, description="Where the trial is described."
    )
    model: Name = Field(
        description="A library name, or a sheet beside this one; a fit has its own.",
        examples=["one-compartment-oral"],
    )
    cohort: Name = Field(
        description="A shipped name, a sheet beside this one, or the folder of a fit.",
        examples=["adults"],
    )
    subjects: Counts = Field(
        description="In each replicate trial: in all, or by arm.",
        examples=[120, {"placebo": 40, "active": 80}],
    )
    replicates: int = Field(1, ge=1, le=MOST, description="How many such trials.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of all chance.")
    block: int | None = Field(
        None, ge=1, le=10_000_000, description="Subjects in a task."
    )
    potential: Annotated[
        Literal["allocated", "all"],
        BeforeValidator(Words("allocated", "all", place="potential")),
    ] = Field("allocated", description="Arms under which a subject is simulated.")
    uncertainty: bool = Field(
        True, description="Draw parameters anew for each replicate."
    )
    parameters: ParametersFile = Field(
        None, description="Population parameters from a file.", examples=["draws.csv"]
    )
    random_effects: Annotated[
        Literal["on", "off"], BeforeValidator(Words("on", "off"))
    ] = Field(
        "on", alias="random effects", description="`off`: they are 0 for everybody."
    )
    arms: dict[str, Annotated[ArmShape, BeforeValidator(as_maybe_empty), OrEmpty()]] = (
        Field(
            min_length=1,
            description="What is done to each group, by its name.",
            examples=[{"low": {"dose": "50 mg every 24 h x 14"}}],
        )
    )
    factors: dict[
        str,
        dict[str, Annotated[LevelShape, BeforeValidator(as_maybe_empty), OrEmpty()]],
    ] = Field(
        default_factory=dict,
        description="Instead of arms: factors with levels, whose combinations are.",
        examples=[{"food": {"fasted": {}, "fed": {"set": {"tvKA": "0.5 * tvKA"}}}}],
    )
    eligible: Eligible = Field(
        None,
        description="Who is let in, on what is measured before any treatment.",
        examples=["anc >= 1.5"],
    )
    run_in: RunInShape | None = Field(
        None,
        alias="run in",
        description="A time that everybody goes through alike, and who is randomised "
        "after it.",
        examples=[{"until": "day 14", "qualify": "responder"}],
    )
    visits: dict[str, VisitShape] = Field(
        default_factory=dict, description="When what is measured, by name."
    )
    rules: dict[str, RuleShape] = Field(
        default_factory=dict,
        description="What is done when something is seen of a patient, by name; the "
        "first that holds at a visit acts.",
        examples=[{"low counts": {"when": "anc < 1.5", "do": "delay 7 d"}}],
    )
    design: DesignShape = Field(
        DesignShape.model_construct(),
        description="How subjects are spread over the arms, and how long they stay.",
    )
    endpoints: dict[str, EndpointShape] = Field(
        default_factory=dict, description="One number for each subject, by name."
    )
    costs: dict[str, str] = Field(
        default_factory=dict,
        description="Prices by endpoint; they add up to the endpoint `cost`.",
        examples=[{"admissions": "13807 USD", "days in hospital": "800 USD/d"}],
    )
    analysis: list[ComparisonShape] = Field(
        default_factory=list, description="Comparisons between arms."
    )
    multiplicity: MultiplicityShape | None = Field(
        None, description="Adjusts the p-values of several comparisons."
    )
    optimise: Optimise = None
    keep: KeepShape = Field(
        KeepShape.model_construct(), description="What the record holds."
    )
    published: list[PublishedShape] = Field(
        default_factory=list, description="What real trials saw."
    )
    observed: dict[
        str, Annotated[list[ObservedShape], BeforeValidator(as_many), OneOrMany()]
    ] = Field(
        default_factory=dict,
        description="What real trials measured, by output or endpoint.",
    )
    grid: Annotated[list[GridShape], BeforeValidator(as_many), OneOrMany()] = Field(
        default_factory=list,
        description="When true values are computed; a list goes on where it left off.",
    )
    occasions: Texts | None = Field(
        None,
        description="When random effects between occasions are drawn anew.",
        examples=["day 0, day 7"],
    )
    numerics: NumericsShape = Field(
        NumericsShape.model_construct(), description="How equations are solved."
    )
