"""Words of a message: the name that is meant, and names in a row."""

import difflib
import itertools
import re
from collections.abc import Iterable

from vtrial.sheets.synonyms import folded

MOST = 150  # names in a row; what a sheet itself names may be more
LIKE = 0.5  # from which likeness on a name leads a row
LONG, LONGER = 3, 6  # letters of names in which one or two errors are believed
_FILLERS = ("of", "in", "the", "by", "for", "a")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one known name that a word is a slip of the keyboard for; else "".

    A slip is another case, another mark between words, one wrong, lacking, added or
    swapped letter, or two in long names; another number is another name.

    Examples
    --------
    >>> nearest("cenral", ["depot", "central"]), nearest("between", ["below"])
    ('central', '')
    >>> nearest("V1", ["V2"]), nearest("EMX", ["EMAX"]), nearest("cl", ["CL", "V"])
    ('', 'EMAX', 'CL')
    """
    names = list(dict.fromkeys(known))
    for fold in (str, folded):
        same = [name for name in names if fold(name) == fold(word)]
        if same:
            return same[0] if len(same) == 1 else ""
    far = {name: slips(folded(word), folded(name)) for name in names}
    least = min(far.values(), default=9)
    close = [name for name, count in far.items() if count == least]
    return close[0] if least <= 2 and len(close) == 1 else ""


def slips(word: str, name: str) -> int:
    """Count the typing errors that make a word of a name; 9 if it is another one.

    It is the distance of Damerau and Levenshtein, as far as an error is believed.

    Examples
    --------
    >>> slips("cetnral", "central"), slips("arm 1", "arm 2"), slips("risk", "rate")
    (1, 9, 9)
    """
    if word != name and _single(word) == _single(name):
        return 1
    size = max(len(word), len(name))
    most = (size >= LONG) + (size >= LONGER)
    if abs(len(word) - len(name)) > most or _digits(word) != _digits(name):
        return 9
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, letter in enumerate(word, start=1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(name, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == name[j - 2] and word[i - 2] == other:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1] if row[-1] <= most else 9


def listed(names: Iterable[str], most: int = MOST, *, like: str = "") -> str:
    """List names for a message: `a, b or c`; those most like a word come first.

    Examples
    --------
    >>> listed(["risk ratio", "difference of means"], like="mean difference")
    'difference of means or risk ratio'
    """
    names = ordered(names, like) if like else list(names)
    if len(names) > most:
        return ", ".join(names[:most]) + f" or one of {len(names) - most} more"
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def ordered(names: Iterable[str], like: str) -> list[str]:
    """Put names that are like a word before the others, the best match first."""
    names = list(names)
    near = alike(names, like)
    return near + [name for name in names if name not in near]


def alike(names: Iterable[str], word: str) -> list[str]:
    """Return the names that are like a word, the best match first."""
    likeness = {name: _likeness(word, name) for name in names}
    near = [name for name in likeness if likeness[name] >= LIKE]
    return sorted(near, key=lambda name: -likeness[name])


def _likeness(word: str, name: str) -> float:
    """Return how alike two names are, by their letters or by the words they share."""
    ours, theirs = _parts(word), _parts(name)
    shared = len(ours & theirs) / max(len(ours | theirs), 1)
    letters = difflib.SequenceMatcher(None, folded(word), folded(name)).ratio()
    return max(letters, shared)


def _parts(text: str) -> set[str]:
    words = re.findall(r"\w+", folded(text))
    return {word.removesuffix("s") for word in words if word not in _FILLERS}


def _single(text: str) -> str:
    """Write a word without doubled letters."""
    return "".join(letter for letter, _ in itertools.groupby(text))


def _digits(text: str) -> list[str]:
    return re.findall(r"\d+", text)
