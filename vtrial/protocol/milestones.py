"""When a look is held: conditions on the calendar, enrolment and what is known."""

import itertools
import re
from collections.abc import Mapping

from vtrial.errors import ModelError, ProtocolError
from vtrial.model.grammar import parse_expression
from vtrial.model.plain import compute
from vtrial.model.tree import Call, Expression, Name, names_in
from vtrial.protocol.enactment import Milestone
from vtrial.protocol.faults import Faults
from vtrial.protocol.times import WORDS, moment
from vtrial.protocol.values import share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

COUNTERS = ("enrolled", "known", "events")
CALENDAR = tuple(WORDS)  # hour, day, week, month
SUBJECTS = "subjects"
MOST_SETS = 64
_COUNTED = re.compile(rf"(\d+)\s*({'|'.join(COUNTERS)}|subjects)")
_SUCH = (
    "`50 %` (of the subjects), `200 known`, `300 enrolled`, `120 events` or `month 18`"
)

Sets = tuple[tuple[Milestone, ...], ...]


def read_at(path: Path_, words: float | str, faults: Faults) -> Sets:
    """Read the time of a look from its short form; nothing if it makes no sense."""
    text = str(words).strip()
    if text.endswith("%"):
        try:
            share = share_in(text)
        except ProtocolError as error:
            faults.relay(path, error)
            return ()
        if not 0 < share <= 1:
            faults.add(path, found=f"`{text}`", allowed="above 0 % and up to 100 %")
            return ()
        return ((Milestone("known", share, SUBJECTS),),)
    if found := _COUNTED.fullmatch(text):
        counter = "known" if found[2] == "subjects" else found[2]
        return ((Milestone(counter, float(found[1])),),)  # type: ignore[arg-type]
    try:
        return ((Milestone("hours", moment(text)),),)
    except ProtocolError:
        faults.add(path, found=f"`{text}`", allowed=_SUCH)
    return ()


def read_when(path: Path_, words: str, planned: int, faults: Faults) -> Sets:
    """Read a condition as sets of milestones: all of any set must be reached."""
    try:
        return _sets(parse_expression(words), planned)
    except ModelError as error:
        faults.relay(path, error)
    except ValueError as error:
        found, allowed = error.args
        faults.add(path, found=found, allowed=allowed, old=words)
    return ()


def _sets(tree: Expression, planned: int) -> Sets:
    """Return what must be reached, as alternatives of sets."""
    if isinstance(tree, Call) and tree.function == "or":
        return tuple(one for part in tree.arguments for one in _sets(part, planned))
    if isinstance(tree, Call) and tree.function == "and":
        parts = [_sets(part, planned) for part in tree.arguments]
        made = tuple(
            tuple(itertools.chain.from_iterable(one))
            for one in itertools.islice(itertools.product(*parts), MOST_SETS + 1)
        )
        if len(made) > MOST_SETS:
            raise ValueError("too many alternatives", f"at most {MOST_SETS}")
        return made
    return ((_milestone(tree, planned),),)


def _milestone(tree: Expression, planned: int) -> Milestone:
    """Return one counter that must be at least so high."""
    ordered = isinstance(tree, Call) and tree.function in (">=", ">", "<=", "<")
    if not ordered:
        raise ValueError(
            "a condition that is no `>=`",
            "counters that are at least so high, with `and` and `or`: "
            "`known >= 200 and month >= 12`",
        )
    assert isinstance(tree, Call)
    left, right = tree.arguments
    if tree.function in ("<=", "<"):
        left, right = right, left
    if not isinstance(left, Name) or left.name not in (*COUNTERS, *CALENDAR):
        raise ValueError(
            "a condition on something else, or one that ends",
            f"at least so high, one of {listed([*COUNTERS, *CALENDAR])}, for a look is "
            "held once it is reached",
        )
    number = _number(right, {SUBJECTS: float(planned)})
    if left.name in CALENDAR:
        return Milestone("hours", number * WORDS[left.name])
    if tree.function in (">", "<"):  # counters are whole
        number = float(int(number) + 1)
    return Milestone(left.name, number)  # type: ignore[arg-type] # a counter


def _number(tree: Expression, known: Mapping[str, float]) -> float:
    """Return a number that a condition states, or works out of the subjects."""
    if all(name.name in known for name in names_in(tree)):
        return compute(tree, known)
    raise ValueError(
        "a limit that is no number", f"a number, or one made of `{SUBJECTS}`"
    )
