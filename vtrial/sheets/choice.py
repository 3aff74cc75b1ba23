"""Words of which one is to be chosen: which there are, and which one is meant."""

from collections.abc import Iterable

from vtrial.sheets.synonyms import hint, meant
from vtrial.sheets.validate import said, wrong
from vtrial.sheets.words import listed, nearest

SEVERAL = 12  # words from which on the page is named that explains them


def choice(
    word: str, words: Iterable[str], *, place: str = "", page: str = ""
) -> tuple[str, str]:
    """Return what may stand in the place of a word, and which one it means.

    Meaning comes before spelling. `place` names the table of `vtrial.sheets.synonyms`,
    `page` the one of `docs/` that explains the words.

    Examples
    --------
    >>> choice("mean difference", ["risk ratio", "difference of means"], place="by")
    ('one of difference of means or risk ratio', 'difference of means')
    >>> choice("ANCOVA", ["difference of means"], place="by")[0][:30]
    '`difference of means` with `ad'
    """
    words = list(words)
    write = meant(place, word) or nearest(word, words)
    write = write if write in words else ""
    allowed = listed(words, like=write or word)
    if page and len(words) > SEVERAL:
        allowed += f" (docs/{page} explains them)"
    near = "" if write else hint(place, word)
    if near:
        return f"{near}; there are {allowed}", write
    return f"one of {allowed}" if len(words) > 1 else allowed, write


class Words:
    """Hold a text against the words that may stand there."""

    def __init__(self, *words: str, place: str = "", page: str = "") -> None:
        self.words, self.place, self.page = words, place, page

    def __call__(self, value: object) -> object:
        """Refuse other words."""
        if value in self.words:
            return value
        text = str(value)
        allowed, write = choice(text, self.words, place=self.place, page=self.page)
        raise wrong(said(value), allowed, write)
