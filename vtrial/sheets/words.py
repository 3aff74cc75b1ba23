"""Words of a message: the name that is meant, and names in a row."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name most like a word, or the words `one of ...`.

    Examples
    --------
    >>> nearest("cenral", ["depot", "central"])
    'central'
    """
    known = list(known)
    folded = {name.lower(): name for name in reversed(known)}
    close = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.5)
    return folded[close[0]] if close else (known[0] if len(known) == 1 else "")


def listed(names: Iterable[str], most: int = 12) -> str:
    """List names for a message: `a, b or c`."""
    names = list(names)
    if len(names) > most:
        return ", ".join(names[:most]) + f" or one of {len(names) - most} more"
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
