"""Rules and adherence of a trial in words, a calm sentence each."""

from collections.abc import Mapping

from vtrial.protocol.adherence import Adherence
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.protocol.rules import Rule
from vtrial.report.design import Line, arm_title, where_words
from vtrial.report.timing import timing_of
from vtrial.report.words import capital, duration, listing, number, suffix

_DAY = 24.0


def rule_title(protocol: Protocol, name: str) -> str:
    """Return a rule's title, or its name."""
    rules = [rule for arm in protocol.arms for rule in arm.rules]
    found = (rule.title or rule.name for rule in rules if rule.name == name)
    return capital(next(found, name))


def rules_lines(protocol: Protocol) -> list[Line]:
    """Return each rule in words, in which arms it holds, and how doses are taken."""
    every = {rule.name: rule for arm in protocol.arms for rule in arm.rules}
    lines = []
    for name, rule in every.items():
        arms = [a for a in protocol.arms if any(r.name == name for r in a.rules)]
        words = rule_in_words(protocol, rule)
        if len(arms) < len(protocol.arms):
            words += f" Only in {listing(a.title or a.name for a in arms)}."
        lines.append(Line(rule_title(protocol, name), words))
    for arm in protocol.arms:
        if arm.adherence is not None:
            lines.append(_adherence_line(protocol, arm, arm.adherence))
    return lines


def rule_in_words(protocol: Protocol, rule: Rule) -> str:
    """Return what a rule does, when, and within what bounds."""
    when, _, do = rule.words.partition(": ")
    words = do or when
    words += f" when {where_words(protocol, when)}" if rule.when is not None else ""
    words += f", decided at {listing(rule.at)}"
    return f"{capital(words)}{_bounds(protocol, rule)}."


def _bounds(protocol: Protocol, rule: Rule) -> str:
    """Return how often a rule acts, how soon, and on which doses."""
    lasting = timing_of(protocol).duration
    told = []
    if rule.confirmed > 1:
        told.append(f"if it holds at {rule.confirmed} decisions in a row")
    if rule.most:
        told.append(f"at most {_times(rule.most)}")
    if rule.lockout:
        told.append(f"not again within {lasting(rule.lockout)}")
    if rule.after:
        told.append(f"done {lasting(rule.after)} after the decision")
    if rule.success < 1:
        told.append(f"acted on in {_percent(rule.success)} of the cases")
    if rule.into is not None:
        told.append(f"for doses into {protocol.model.states[rule.into]}")
    given = _given(protocol, rule.name)
    for key, words in (
        ("floor", "no dose set below"),
        ("ceiling", "no dose set above"),
        ("ladder", "by steps of"),
    ):
        if key in given:
            told.append(f"{words} {_plain(given[key], protocol.model.amount)}")
    if rule.also:
        told.append("the rules behind it may act, too")
    return "".join(f"; {one}" for one in told)


def _times(most: int) -> str:
    """Write how often something is done."""
    return {1: "once", 2: "twice"}.get(most, f"{most} times")


def _percent(share: float) -> str:
    """Write a share of a sheet."""
    return number(100 * share, 4) + suffix("share")


def _given(protocol: Protocol, name: str) -> Mapping[str, object]:
    """Return a rule's entries as they stand in the sheet."""
    rules = protocol.data.get("rules")
    entry = rules.get(name) if isinstance(rules, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def _plain(value: object, unit: str) -> str:
    """Write amounts of a sheet; a number alone is in the model's unit."""
    many = value if isinstance(value, list) else [value]
    words = ", ".join(map(str, many))
    last = words.rpartition(",")[2].strip()
    return f"{words} {unit}" if last.replace(".", "", 1).isdigit() else words


def _adherence_line(protocol: Protocol, arm: Arm, adherence: Adherence) -> Line:
    """Return how an arm's subjects take their doses, in words."""
    title = "Adherence"
    if len(protocol.arms) > 1:
        title += f", {arm_title(protocol, arm.name)}"
    return Line(title, adherence_in_words(protocol, adherence))


def adherence_in_words(protocol: Protocol, adherence: Adherence) -> str:
    """Return which doses are taken, when, and which visits are held."""
    told = []
    states = adherence.states
    if len(states) > 1:
        stay = _percent(adherence.transitions[0][0])
        told.append(
            f"from dose to dose subjects are in one of the states {listing(states)}, "
            f"and take doses in the first, where {stay} stay"
        )
        pairs = [f"{states[a]} to {states[b]}" for a, b, _ in adherence.between]
        if pairs:
            told.append(f"which differs between subjects ({listing(pairs)})")
    if adherence.taken < 1:
        there = " there" if len(states) > 1 else ""
        told.append(f"{_percent(adherence.taken)} of doses{there} are taken")
    if adherence.stop:
        told.append(
            f"treatment is given up at a hazard of {number(adherence.stop * _DAY)}/d"
        )
    if adherence.jitter:
        told.append(f"doses are up to {duration(adherence.jitter)} early or late")
    if adherence.visits < 1:
        told.append(f"{_percent(adherence.visits)} of visits are held")
    return f"{capital('; '.join(told) or 'every dose is taken')}."
