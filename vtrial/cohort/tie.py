"""Ties: which covariates of a cohort depend on each other."""

from collections.abc import Iterable

from vtrial.cohort.cohort import Cohort
from vtrial.model.tree import names_in


def tied(cohort: Cohort) -> list[tuple[str, ...]]:
    """Return what is drawn, in groups that do not depend on each other.

    Columns of a table belong together, traits that are correlated, a trait and the one
    by which its distribution differs, and whatever the condition of eligibility names.
    Derived covariates are in no group: they follow those that they are made of, and
    stand for them in the condition.
    """
    groups = [{name} for name in _drawn(cohort)]
    ties: list[Iterable[str]] = [
        cohort.table.names if cohort.table else (),
        cohort.correlated,
    ]
    ties += [(trait.name, trait.by) for trait in cohort.traits if trait.by]
    if cohort.eligibility is not None:
        named = {name.name for name in names_in(cohort.eligibility)}
        ties.append(_sources(cohort, named))
    for tie in ties:
        members = set(tie)
        joined = [group for group in groups if group & members]
        groups = [group for group in groups if not group & members]
        groups += [set().union(*joined)] if joined else []
    order = {name: place for place, name in enumerate(cohort.names)}
    groups.sort(key=lambda group: min(order[name] for name in group))
    return [tuple(sorted(group, key=order.__getitem__)) for group in groups]


def _drawn(cohort: Cohort) -> tuple[str, ...]:
    """Name what is drawn, not derived."""
    derived = {one.name for one in cohort.derived}
    return tuple(name for name in cohort.names if name not in derived)


def _sources(cohort: Cohort, names: set[str]) -> set[str]:
    """Put what is drawn in the place of what is derived of it."""
    for derived in reversed(cohort.derived):
        if derived.name in names:
            made = names_in(derived.statement.expression)
            names = (names - {derived.name}) | {name.name for name in made}
    return names
