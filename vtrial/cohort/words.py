"""Describe a cohort's subjects: in words, in a table, and as a schema."""

import math

import numpy as np
import pandas as pd

from vtrial.cohort.cohort import Cohort, Marginal, Trait
from vtrial.cohort.draw import sample
from vtrial.cohort.shape import CohortShape
from vtrial.model.grammar import write_expression
from vtrial.model.model import Source
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
        _row(name, cohort.label(name), cohort.unit(name), np.asarray(values))
        for name, values in drawn.covariates.items()
    ]
    if cohort.eligibility is not None:
        title = "people screened for each subject"
        rows.append(
            _row("screened", title, "1", np.asarray(drawn.screened), codes=False)
        )
    return pd.DataFrame(rows)


def cohort_schema() -> dict:
    """Return the JSON Schema of a cohort sheet, for editors."""
    schema = CohortShape.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "vtrial cohort sheet",
    }


def _row(
    name: str, title: str, unit: str, values: np.ndarray, *, codes: bool = True
) -> dict[str, object]:
    """Summarise the values of one covariate."""
    row: dict[str, object] = {
        "name": name,
        "title": title,
        "unit": unit,
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }
    points = np.percentile(values, list(PROBABILITIES.values()))
    row |= dict(zip(PROBABILITIES, map(float, points), strict=True))
    found, counts = np.unique(values, return_counts=True)
    row["shares"] = ""
    if codes and len(found) <= MOST_CODES and len(values) > len(found):
        pairs = zip(found, counts / len(values), strict=True)
        row["shares"] = ", ".join(f"{code:g}: {share:.1%}" for code, share in pairs)
    return row


def _named(cohort: Cohort, name: str) -> str:
    """Write a name with its title and unit."""
    title, unit = cohort.label(name), cohort.unit(name)
    words = [name, f"({title})" if title else "", f"[{unit}]" if unit != "1" else ""]
    return " ".join(word for word in words if word)


def _distribution(cohort: Cohort, trait: Trait) -> str:
    """Write the distribution of a trait."""
    if not trait.by:
        return _marginal(trait.marginals[0])
    pairs = zip(trait.cases, trait.marginals, strict=True)
    return "; ".join(f"{trait.by} {case:g}: {_marginal(m)}" for case, m in pairs)


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
        pairs = zip(marginal.values, marginal.shares, strict=True)
        return ", ".join(f"{value:g}: {share:.3g}" for value, share in pairs)
    if marginal.kind == "lognormal":
        spread = math.sqrt(math.expm1(second**2))
        words = f"log-normal, median {math.exp(first):.4g}, CV {spread:.3g}"
    else:
        words = f"normal, mean {first:.4g}, SD {second:.4g}"
    return words + _range(marginal.low, marginal.high)


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
