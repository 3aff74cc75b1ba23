"""Where a letter of a value stands in the text of its sheet, however YAML wrote it."""

import re

_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_HEAD = re.compile(r"[|>][^\r\n]*")  # of a block, whose text begins on the next line


def spot(
    text: str, start: tuple[int, int], value: str, offset: int
) -> tuple[int, int] | None:
    r"""Return line and column of a letter of a value, which begins at `start`.

    Plain, quoted, folded and literal text is followed letter by letter, over line
    breaks and indents; None where escapes stand for letters.

    Examples
    --------
    >>> spot("a:\n  b: |\n    x = 1\n    y = 2\n", (2, 6), "x = 1\ny = 2\n", 6)
    (4, 5)
    >>> spot('dose: "10 mgg"', (1, 7), "10 mgg", 3)
    (1, 11)
    """
    breaks = [0, *(found.end() for found in _BREAK.finditer(text))]
    if start[0] > len(breaks):
        return None
    place = breaks[start[0] - 1] + start[1] - 1
    head = _HEAD.match(text, place)
    place = head.end() if head else place + (text[place : place + 1] in ("'", '"'))
    for index, letter in enumerate(value[: offset + 1]):
        if letter.isspace():
            if index == offset:
                break
            continue
        while place < len(text) and text[place].isspace():
            place += 1
        if text[place : place + 1] != letter:
            return None
        place += index < offset
    row = max(i for i, begin in enumerate(breaks) if begin <= place)
    return row + 1, place - breaks[row] + 1


def offset_of(value: str, line: int, column: int) -> int:
    r"""Return where a line and column, from 1, are in a text.

    Examples
    --------
    >>> offset_of("x = 1\ny = 2", 2, 5)
    10
    """
    breaks = [0, *(found.end() for found in _BREAK.finditer(value))]
    return breaks[min(line, len(breaks)) - 1] + column - 1


def word_in(text: str, words: str) -> int | None:
    """Return where words stand in a text, whole words if they can; None if nowhere.

    Examples
    --------
    >>> word_in("AGEE > 5 and AGE < 9", "AGE"), word_in("day 7", "week")
    (13, None)
    """
    whole = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text)
    place = whole.start() if whole else text.find(words)
    return place if words and place >= 0 else None
