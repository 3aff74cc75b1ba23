"""Describe a cohort's subjects: in words, in a table, and as a schema."""

import math

import numpy as np
import pandas as pd

from vtrial.cohort.cohort import Cohort, Marginal, Trait
from vtrial.cohort.draw import sample
from vtrial.cohort.shape import CohortShape
from vtrial.model.grammar import write_expression
from vtrial.model.model import Source
from vtrial.sheets.validate import schema_of
from vtrial.sheets.words import listed

MOST_CODES = 10
PROBABILITIES = {"p5": 5, "median": 50, "p95": 95}


def describe(cohort: Cohort) -> str:
    """Describe a cohort in words: distributions, formulas, condition, sources."""
    lines = [f"{cohort.name}: {cohort.title}" if cohort.title else cohort.name, ""]
    if table := cohort.table:
        taken = (
            "taken in order" if table.draw == "in order" else "drawn with replacement"
        )
        lines.append(f"{len(table.rows)} rows of {table.file}, {taken}:")
        lines += [f"  {_named(cohort, name)}" for name in table.names]
        if table.effects:
            lines.append(f"  random effects: {', '.join(table.effects)}")
    for trait in cohort.traits:
        lines += [f"{_named(cohort, trait.name)}: {_distribution(cohort, trait)}"]
        lines += _source(trait.source)
    for derived in cohort.derived:
        equation = write_expression(derived.statement.expression)
        lines += [f"{_named(cohort, derived.name)} = {equation}"]
        lines += _source(derived.source)
    lines += _correlations(cohort)
    if cohort.eligibility is not None:
        lines += ["", f"Eligible: {write_expression(cohort.eligibility)}"]
    if cohort.sources:
        lines += ["", "Sources:"]
        lines += [line for source in cohort.sources for line in _source(source)]
    return "\n".join(lines)


def summarise(cohort: Cohort, *, seed: int, subjects: int) -> pd.DataFrame:
    """Draw subjects and return a row a covariate: moments, quantiles, shares.

    They are the first subjects of replicate 0. If there is a condition, the last row
    says how many people were screened for each subject.
    """
    numbers = np.arange(subjects)
    drawn = sample(
        cohort, None, seed=seed, replicate=np.zeros_like(numbers), subject=numbers
    )
    rows = [
        _row(cohort, name, np.asarray(values))
        for name, values in drawn.covariates.items()
    ]
    if cohort.eligibility is not None:
        title = "people screened for each subject"
        screened = np.asarray(drawn.screened)
        rows.append(_moments("screened", title, "1", screened) | {"shares": ""})
    return pd.DataFrame(rows)


def cohort_schema() -> dict:
    """Return the JSON Schema of a cohort sheet, for editors."""
    return schema_of(CohortShape, "vtrial cohort sheet")


def _row(cohort: Cohort, name: str, values: np.ndarray) -> dict[str, object]:
    """Summarise the values of one covariate."""
    row = _moments(name, cohort.label(name), cohort.unit(name), values)
    found, counts = np.unique(values, return_counts=True)
    row["shares"] = ""
    if len(found) <= MOST_CODES and len(values) > len(found):
        words = cohort.labels(name)
        pairs = zip(found, counts / len(values), strict=True)
        row["shares"] = ", ".join(
            f"{words.get(float(code), f'{code:g}')}: {share:.1%}"
            for code, share in pairs
        )
    return row


def _moments(name: str, title: str, unit: str, values: np.ndarray) -> dict[str, object]:
    """Return mean, standard deviation and quantiles of values."""
    row: dict[str, object] = {
        "name": name,
        "title": title,
        "unit": unit,
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }
    points = np.percentile(values, list(PROBABILITIES.values()))
    return row | dict(zip(PROBABILITIES, map(float, points), strict=True))


def _named(cohort: Cohort, name: str) -> str:
    """Write a name with its title and unit."""
    title, unit = cohort.label(name), cohort.unit(name)
    words = [name, f"({title})" if title else "", f"[{unit}]" if unit != "1" else ""]
    return " ".join(word for word in words if word)


def _distribution(cohort: Cohort, trait: Trait) -> str:
    """Write the distribution of a trait."""
    if trait.shares:
        parts = zip(trait.shares, trait.marginals, strict=True)
        return "; ".join(f"{share:.3g} of them {_marginal(m)}" for share, m in parts)
    if not trait.by:
        return _marginal(trait.marginals[0])
    pairs = zip(trait.cases, trait.marginals, strict=True)
    names = cohort.labels(trait.by)
    told = ((names.get(case, f"{case:g}"), marginal) for case, marginal in pairs)
    return "; ".join(f"{trait.by} {case}: {_marginal(m)}" for case, m in told)


def _marginal(marginal: Marginal) -> str:
    """Write a marginal in words."""
    first, second = marginal.first, marginal.second
    if marginal.kind == "constant":
        return f"{first:g}"
    if marginal.kind == "uniform":
        return f"uniform from {first:g} to {second:g}"
    if marginal.kind == "empirical":
        low, high = marginal.values[0], marginal.values[-1]
        return f"one of {len(marginal.values)} values from {low:g} to {high:g}"
    if marginal.kind == "categorical":
        return _categories(marginal)
    if marginal.kind == "lognormal":
        spread = math.sqrt(math.expm1(second**2))
        words = f"log-normal, median {math.exp(first):.4g}, CV {spread:.3g}"
    elif marginal.kind == "beta":
        start, end = marginal.values
        words = f"beta, alpha {first:.4g}, beta {second:.4g}, on {start:g} to {end:g}"
    elif marginal.kind in ("gamma", "weibull"):
        name = {"gamma": "gamma", "weibull": "Weibull"}[marginal.kind]
        words = f"{name}, shape {first:.4g}, scale {second:.4g}"
    else:
        words = f"normal, mean {first:.4g}, SD {second:.4g}"
    clipped = _range(marginal.floor, marginal.ceiling)
    clipped = clipped.replace(",", ", clipped", 1) if clipped else ""
    return words + _range(marginal.low, marginal.high) + clipped


def _categories(marginal: Marginal) -> str:
    """Write values with their shares, as many as are read."""
    names = marginal.labels or [f"{value:g}" for value in marginal.values]
    codes = [f" ({value:g})" if marginal.labels else "" for value in marginal.values]
    parts = [
        f"{name}{code}: {share:.3g}"
        for name, code, share in zip(names, codes, marginal.shares, strict=True)
    ]
    if len(parts) > MOST_CODES:
        mean = np.dot(marginal.values, marginal.shares)
        first, last = names[0], names[-1]
        return f"{len(parts)} values from {first} to {last}, mean {mean:.4g}"
    return ", ".join(parts)


def _range(low: float, high: float) -> str:
    """Write a truncation."""
    if low == -math.inf and high == math.inf:
        return ""
    if high == math.inf:
        return f", not below {low:g}"
    if low == -math.inf:
        return f", not above {high:g}"
    return f", within {low:g} to {high:g}"


def _correlations(cohort: Cohort) -> list[str]:
    """Write the correlations that are not 0."""
    names, matrix = cohort.correlated, cohort.correlation
    pairs = [
        f"{names[j]} and {name} {matrix[i][j]:g}"
        for i, name in enumerate(names)
        for j in range(i)
        if matrix[i][j]
    ]
    joined = listed(pairs, most=60).replace(" or ", " and ")
    return [f"Correlations of the normal scores: {joined}"] if pairs else []


def _source(source: Source) -> list[str]:
    """Write where something is from."""
    link = f"doi:{source.doi}" if source.doi else source.url
    words = ". ".join(word for word in (source.cite, link, source.note) if word)
    return [f"    {words}"] if words else []
