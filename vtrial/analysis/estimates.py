"""Estimates: what a trial would have seen, as tables."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

WITHIN, UNDECIDED, MISS = "within", "undecided", "MISS"
FLOW = [
    "arm",
    "screened",
    "enrolled",
    "allocated",
    "simulated",
    "failed",
    "others",
    "others_failed",
    "replicates",
]
ENDPOINTS = [
    "arm",
    "endpoint",
    "statistic",
    "n",
    "missing",
    "failed",
    "estimate",
    "low",
    "high",
    "interval",
    "mc_error",
    "least",
    "most",
    "truth",
    "truth_error",
    "replicates",
    "undefined",
    "unit",
]
FALLBACK_COUNTS = ["arm", "method", "count"]
DEPARTED = ["arm", "cause", "n", "count", "share", "mc_error", "mean", "first", "last"]
MISSING = ["arm", "endpoint", "reason", "count"]
CONTRASTS = [
    "comparison",
    "arm",
    "reference",
    "endpoint",
    "by",
    "adjust",
    "n",
    "missing",
    "failed",
    "reference_n",
    "reference_missing",
    "reference_failed",
    "estimate",
    "low",
    "high",
    "interval",
    "mc_error",
    "ci_low",
    "ci_high",
    "p",
    "power",
    "power_low",
    "power_high",
    "least",
    "most",
    "truth",
    "truth_error",
    "replicates",
    "undefined",
    "level",
    "unit",
]
BANDS = ["arm", "output", "unit", "time", "quantile", "value"]
PROPORTIONS = ["arm", "output", "time", "proportion"]
COURSES = ["arm", "output", "unit", "replicate", "subject", "time", "value"]
CURVES = [
    "arm",
    "endpoint",
    "time",
    "survival",
    "low",
    "high",
    "at_risk",
    "events",
]
OPERATING = ["comparison", "measure", "value", "mc_error", "low", "high", "trials"]
CONVERGENCE = ["comparison", "replicates", "estimate", "mc_error"]
SUBGROUPS = [
    "endpoint",
    "arm",
    "covariate",
    "low",
    "high",
    "n",
    "statistic",
    "estimate",
    "mc_error",
    "unit",
]
EXPLAINED = ["endpoint", "arm", "covariate", "share", "error", "correlation"]
PERSONS = ["arm", "endpoint", "subject", "value", "event", "unit"]
PREDICTIVE = [
    "arm",
    "output",
    "unit",
    "time",
    "quantile",
    "observed",
    "low",
    "median",
    "high",
    "corrected",
]
PREDICTIVE_EVENTS = [
    "arm",
    "endpoint",
    "time",
    "observed",
    "low",
    "median",
    "high",
    "at_risk",
    "events",
    "expected_at_risk",
]
PREDICTIVE_SHARES = [
    "arm",
    "of",
    "time",
    "category",
    "n",
    "observed",
    "low",
    "median",
    "high",
]
RULES = ["arm", "rule", "n", "acted", "acted_error", "times", "times_error"]
DOSES = ["arm", "reason", "n", "count", "share", "mc_error"]
DETAILS = ["comparison", "measure", "value", "mc_error", "low", "high", "trials"]
FITTED = ["comparison", "of", "dose", "value", "low", "high", "trials"]
ENACTED_ROWS = [
    *("of", "measure", "unit", "value", "mc_error", "low", "high", "trials"),
]
LOOKS = [
    *("look", "held", "time", "enrolled", "known", "events"),
    *("ended", "ended_error", "trials"),
]
DECIDED = [
    *("comparison", "look", "decision", "share", "mc_error", "low", "high", "trials"),
]
ALLOCATED = ["arm", "look", "value", "mc_error", "low", "high", "trials"]
BALANCE = ["factor", "by", "value", "mc_error", "largest", "trials"]
SITES = [
    *("site", "region", "sites", "value", "mc_error", "low", "high"),
    *("full", "empty", "trials"),
]
ESCALATED = [
    *("arm", "truth", "selected", "selected_error", "treated", "treated_error"),
    *("toxic", "toxic_error", "trials"),
]
GIVEN = ["arm", "into", "unit", "time", "n", "given", "low", "median", "high"]
DISTRIBUTIONS = ["arm", "endpoint", "unit", "low", "high", "count", "share"]
FAILURES = ["arm", "status", "count"]
PUBLISHED = [
    "what",
    "arm",
    "endpoint",
    "where",
    "comparison",
    "statistic",
    "published",
    "low",
    "high",
    "simulated",
    "mc_error",
    "mc_low",
    "mc_high",
    "within",
    "verdict",
    "verified",
    "kind",
    "unit",
    "source",
]


CENTRES = ("share", "mean", "geometric mean", "median")  # the first that there is


def centre_of(statistics: Sequence[str], *, event: bool = False) -> str:
    """Choose the statistic by which an endpoint is told; of times to events the median.

    Examples
    --------
    >>> centre_of(["mean", "sd", "median"]), centre_of(["sd"])
    ('mean', 'sd')
    """
    first = ("median", *CENTRES) if event else CENTRES
    return next((name for name in first if name in statistics), statistics[0])


def none_of(columns: list[str]) -> Any:
    """Stand for a table without rows."""
    return field(default_factory=lambda: pd.DataFrame(columns=columns))


@dataclass(frozen=True)
class Estimates:
    """What the trials would have seen.

    Numbers of subjects are totals over all replicate trials.

    Fields
    ------
    flow
        A row an arm, of the subjects allocated to it: `screened` until they were
        found, `enrolled`, `allocated`, `simulated` (solved to the end) and `failed`;
        besides, `others`: how many of other arms were solved under this one, too
        (`potential: all`), and `others_failed`.
    endpoints
        A row for each arm, endpoint and statistic. `n` subjects gave a value, `missing`
        did not, `failed` could not be solved. `estimate` is the mean over trials; `low`
        and `high` hold 95 % of single trials (`interval`: between trials) or are the
        trial's own 95 % limits (confidence), if there is one. `undefined` trials gave
        no number. `least` and `most` are what a share would be if none or all of the
        failed subjects were counted in it. `truth` is the number of every subject
        under the arm, if the record has it, and `truth_error` its Monte Carlo error.
        Shares are fractions.
    missing
        Why solved subjects have no number for an endpoint, a row a reason.
    contrasts
        The same for comparisons; besides, `ci_low` and `ci_high` are the mean limits of
        a trial's confidence interval, `power` the share of trials whose p-value is
        below 1 - `level` (`power_low` and `power_high` are its 95 % Monte Carlo
        limits, Wilson's), `p` that value if there is one trial. `n`, `missing` and
        `failed` are of the arm, and those of the reference stand beside them; `least`
        and `most` are where the effect on a response would lie whatever the failed
        subjects' responses were. `truth` is the effect
        with every subject under both arms, if the record has it, and `truth_error` its
        Monte Carlo error.
    bands
        Quantiles of the true outputs over time [h].
    proportions
        Of outputs that are 0 or 1, the share of subjects that have 1, over time [h].
    distributions
        Histograms of endpoints, in the same bins for all arms; the first and the last
        bin hold what lies beyond. For responses the bins are 0 and 1.
    departed
        Who left, a row for each cause: of `n` solved subjects of the arm the `count`
        and `share` that left for it, with its Monte Carlo error, and when [h]: the
        `mean` of their times, the `first` and the `last`.
    stopped
        Who stopped treatment, likewise, where an endpoint asks of it.
    fallbacks
        Subjects on whom the first method failed, by the method that solved them.
    failures
        Failed subjects by Status.
    curves
        Survival by arm over time [h] of endpoints that are times to an event: the mean
        product-limit curve of the trials, where 95 % of single trials lie (the curve's
        own limits if there is one), and the mean numbers at risk and of events by then.
    operating
        Operating characteristics, a row for each comparison and measure: `power`,
        `bias`, `coverage`, `expected size`, and standard deviations: `of one trial`,
        its parts `by parameters` and `by chance`, and `precision by common numbers`
        (the variance of the truth with independent subjects over that of pairs).
        `low` and `high` are 95 % Monte Carlo limits; `trials` could be judged by it,
        and where none could the value is missing.
    details
        What a comparison says beside its effect: of MCP-Mod which shape is `chosen`
        (how much it counts on average; nothing where no dose-response is shown), and
        the `target dose`: its mean over the trials that find one, where 90 % of them
        lie, and in `target dose found` the share of all trials that do.
    fitted
        Of MCP-Mod, over the `dose`: the `estimate` at each, and curves, the one that is
        `chosen` (or the average) in trials that show a dose-response, and each shape in
        all. `value` is the mean over the trials, 90 % of which lie between `low` and
        `high`; of responses it is a share.
    convergence
        The estimate and its Monte Carlo error after the first so many trials.
    subgroups
        Endpoints by arm within thirds of a covariate, or its values if they are few.
    explained
        The share of an endpoint's variance between subjects that goes with a
        covariate or a kept individual parameter, and its rank correlation.
    persons
        The subjects of the first trial, for waterfalls and lanes; `event` is 0 if
        `value` is censored.
    predictive
        Visual predictive check: quantiles of what was observed, and where those of
        simulated trials of the same design lie (90 %), by time [h]. `corrected` says
        to what of their time values were brought: `nothing`, the median
        `prediction`, or `prediction and variability`.
    predictive_events
        The observed product-limit curve of a time to an event by time [h], with the
        observed numbers at risk and of events by then, and where the curves of 90 % of
        simulated trials lie (where at least half of them are known), with their mean
        number at risk.
    predictive_shares
        The observed share of each category of an output at its planned times [h], or
        of an endpoint (no time), among `n` values, and where those of 90 % of
        simulated trials lie.
    courses
        True values of single subjects over time [h], of the first fifty of an arm at
        most, where the record keeps them. `subject` is the number in the `replicate`.
    rules
        What each rule of an arm did: the share of its `n` solved subjects on whom it
        `acted` at least once, and how many `times` on average, with their Monte Carlo
        errors.
    doses
        Of an arm with rules or adherence the doses that were due or added, a row for
        each reason why they are as they are: their `count`, and the `share` of all `n`.
    given
        The doses of such an arm into a state, over time [h]: of `n` subjects a dose was
        due about then, of which doses the share `given` was given; the median of what a
        subject got for each of them (0 if it was not given), and where 90 % of subjects
        lie. What rules gave beside the planned is left out.
    enacted
        What enacted trials did, a row for each measure of the whole trial (`of` is
        empty) or of a comparison: `expected size`, `expected duration` [h] and their
        quantiles, `ended early`; `shown` (the power, or the type I error), the mean
        `estimate`, the `true effect` (paired, of all subjects), `bias` in all trials
        and `where shown` (of ratios of the logarithm), and `coverage` of the usual
        interval. Where a group sequential test alone decides: the bias of the median
        unbiased estimate, and in which share of trials it is above the true effect;
        `coverage` of the `final interval` by the stage-wise ordering, and of the
        `repeated interval`; and the median of the stage-wise p-values. `low` and
        `high` are 95 % Monte Carlo limits.
    looks
        In which share of the trials each look was `held`, on average when [h] and with
        how many subjects enrolled, known, and with an event; in which share it was the
        last one (`ended`).
    decided
        The share of all trials in which a look decided a comparison: `success` or
        `futile`.
    allocated
        The number of subjects in each arm (`look` is empty), or the probability of the
        arm after a look: mean, Monte Carlo error, and where 90 % of the trials lie.
    sites
        Of enacted trials with sites, a row for each entry of the sheet: how many
        `sites` it stands for, how many subjects they enrol together (mean, Monte Carlo
        error, and where 90 % of the trials lie), and the shares of these sites that
        reach their cap (`full`) and that enrol nobody (`empty`).
    balance
        Where arms are given by more than chance: by how many subjects they differ most
        within any level of a `factor` (of all subjects where it is empty), on average
        over the trials, with its Monte Carlo error, and in the worst of them
        (`largest`); by the trial's own method and by `simple` randomisation of the same
        subjects. Of unequal weights each arm's number counts by its weight.
    escalated
        What dose escalations did, a row for each dose: its `truth`, the share of all
        subjects with a toxicity under it; the share of trials that have `selected` it;
        mean numbers `treated` and `toxic`; with their Monte Carlo errors. The row
        without an arm has the share of trials that select none, and the totals.
    published
        A row for each published number: the limits that count as within, and the
        simulated value; of those in the arm `where` a condition holds, if there is
        one. `mc_low` and `mc_high` are its 95 % Monte Carlo limits: `verdict` is
        `within`, `MISS` if they lie beyond as well, or `undecided`. `kind` is `share`,
        `points` (a difference of shares) or `plain`.
    """

    flow: pd.DataFrame
    endpoints: pd.DataFrame
    contrasts: pd.DataFrame
    bands: pd.DataFrame
    distributions: pd.DataFrame
    failures: pd.DataFrame
    published: pd.DataFrame
    fallbacks: pd.DataFrame = none_of(FALLBACK_COUNTS)
    departed: pd.DataFrame = none_of(DEPARTED)
    stopped: pd.DataFrame = none_of(DEPARTED)
    missing: pd.DataFrame = none_of(MISSING)
    curves: pd.DataFrame = none_of(CURVES)
    operating: pd.DataFrame = none_of(OPERATING)
    details: pd.DataFrame = none_of(DETAILS)
    fitted: pd.DataFrame = none_of(FITTED)
    convergence: pd.DataFrame = none_of(CONVERGENCE)
    subgroups: pd.DataFrame = none_of(SUBGROUPS)
    explained: pd.DataFrame = none_of(EXPLAINED)
    persons: pd.DataFrame = none_of(PERSONS)
    predictive: pd.DataFrame = none_of(PREDICTIVE)
    predictive_events: pd.DataFrame = none_of(PREDICTIVE_EVENTS)
    predictive_shares: pd.DataFrame = none_of(PREDICTIVE_SHARES)
    courses: pd.DataFrame = none_of(COURSES)
    proportions: pd.DataFrame = none_of(PROPORTIONS)
    rules: pd.DataFrame = none_of(RULES)
    doses: pd.DataFrame = none_of(DOSES)
    given: pd.DataFrame = none_of(GIVEN)
    enacted: pd.DataFrame = none_of(ENACTED_ROWS)
    looks: pd.DataFrame = none_of(LOOKS)
    decided: pd.DataFrame = none_of(DECIDED)
    allocated: pd.DataFrame = none_of(ALLOCATED)
    sites: pd.DataFrame = none_of(SITES)
    balance: pd.DataFrame = none_of(BALANCE)
    escalated: pd.DataFrame = none_of(ESCALATED)

    def published_words(self) -> pd.DataFrame:
        """Return the published numbers beside the simulated ones, in words."""
        return published_in_words(self.published)


def published_in_words(published: pd.DataFrame) -> pd.DataFrame:
    """Write rows of `Estimates.published` as people do, with `protocol` if it is there.

    Shares are in per cent, differences of shares in points (pp).
    """
    rows = [_row_in_words(row) for row in published.to_dict("records")]
    names = ["what", "published", "simulated", "mc error", "counts as within"]
    words = pd.DataFrame(rows, columns=[*names, "within", "source"])
    if "protocol" in published:
        words.insert(0, "protocol", published["protocol"].to_numpy())
    return words


def _row_in_words(row: Mapping[Hashable, Any]) -> dict[str, str]:
    """Write one published number beside the simulated one."""
    kind, unit = str(row["kind"]), str(row["unit"])
    named = {
        name: in_words(row[name], kind, unit)
        for name in ("published", "simulated", "high")
    }
    source = [str(row["source"]), "" if row["verified"] else "(unverified)"]
    return {
        "what": str(row["what"]),
        "published": named["published"],
        "simulated": named["simulated"],
        "mc error": in_words(row["mc_error"], *_of_error(kind, unit), digits=2),
        "counts as within": f"{in_words(row['low'], kind)} to {named['high']}",
        "within": "yes" if row["verdict"] == WITHIN else str(row["verdict"]),
        "source": " ".join(part for part in source if part),
    }


def _of_error(kind: str, unit: str) -> tuple[str, str]:
    """Return kind and unit of a percentage's error, which is in points (pp)."""
    return ("points" if kind == "share" else kind), ("pp" if unit == "%" else unit)


def settled(value: float, kind: str = "plain", unit: str = "1") -> float:
    """Return 0 for a proportion or percentage that is rounding alone.

    Examples
    --------
    >>> settled(1.03e-16, "share"), settled(-4e-15, "plain", "%"), settled(1e-12)
    (0.0, 0.0, 1e-12)
    """
    limit = {"plain": 1e-9 if unit in ("%", "pp") else 0.0}.get(kind, 1e-11)
    return 0.0 if abs(value) < limit else value


def in_words(value: float, kind: str, unit: str = "1", *, digits: int = 4) -> str:
    """Write a number as people do.

    A `share` is in per cent, `points` (a difference of shares) in pp, and what is
    `plain` in its unit.

    Examples
    --------
    >>> in_words(0.7391, "share"), in_words(-0.052, "points"), in_words(2.0, "plain")
    ('73.9 %', '-5.2 pp', '2')
    """
    if value != value:
        return "none"
    value = settled(value, kind, unit)
    if kind == "plain":
        return f"{value:.{digits}g}" + ("" if unit == "1" else f" {unit}")
    number = f"{100 * value:.{digits}g}" if digits < 4 else f"{100 * value:.1f}"
    return number + (" %" if kind == "share" else " pp")
