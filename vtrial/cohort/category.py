"""Read the shares of categories, which published tables round."""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from vtrial.cohort.cohort import Marginal
from vtrial.errors import Fault
from vtrial.model.field_types import NAME
from vtrial.model.grammar import reserved_words
from vtrial.model.tree import Expression, Number
from vtrial.sheets.sheet import Path_, Sheet

SLACK = 1e-6
MOST = 0.01  # of a sum of shares that is believed to be their rounding
DIGITS = 6  # of the shares in a remedy
LEAST = 10  # a share from which on it must be a percentage


def read_categorical(
    sheet: Sheet, path: Path_, shares: dict[str, float]
) -> tuple[Marginal, list[Fault]]:
    """Make a categorical marginal of shares that add up to 1, as far as written.

    Categories are numbers, or words that stand for 0, 1, 2 and so on in their order.
    Shares whose sum is off by less than half of the last digit of each, and by no more
    than 1 %, were rounded: they are divided by their sum.
    """
    words = tuple(shares) if _are_words(shares) else ()
    wrong = [] if words else _wrong_codes(sheet, path, shares)
    faults = wrong + _wrong_shares(sheet, path, shares)
    if not faults:
        faults = shares_of(sheet, path, shares)
    total = math.fsum(shares.values())
    if not faults and abs(total - 1) > SLACK:
        shares = {code: share / total for code, share in shares.items()}
    if words:  # coded 0, 1, 2, ... in their order
        codes, parts = tuple(map(float, range(len(words)))), tuple(shares.values())
        faults += _wrong_words(sheet, path, words)
        return Marginal("categorical", values=codes, shares=parts, labels=words), faults
    coded = [(_number(code), share) for code, share in shares.items()]
    pairs = sorted((code, share) for code, share in coded if code is not None)
    values, parts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Marginal("categorical", values=tuple(values), shares=tuple(parts)), faults


def shares_of(sheet: Sheet, path: Path_, shares: Mapping[str, float]) -> list[Fault]:
    """Find shares that do not add up to 1, beyond what rounding of them explains."""
    total = math.fsum(shares.values())
    off = abs(total - 1)
    if off <= SLACK:
        return []
    if off > MOST + SLACK or off >= len(shares) * _half_unit(sheet, path):
        return [_wrong_sum(sheet, path, shares, total)]
    return []


def words_of(covariates: object) -> dict[str, dict[str, float]]:
    """Return the codes of words of categories, by covariate, as a sheet has them."""
    found = {}
    for name, entry in covariates.items() if isinstance(covariates, dict) else ():
        shares = entry.get("categorical") if isinstance(entry, dict) else None
        if isinstance(shares, dict) and _are_words(shares):
            found[name] = {word: float(code) for code, word in enumerate(shares)}
    return found


def codes_of(pairs: Iterable[tuple[str, float]]) -> dict[str, Expression]:
    """Return what words of categories stand for, where they stand for one value.

    Examples
    --------
    >>> sorted(codes_of([("male", 0.0), ("female", 1.0), ("none", 0.0), ("none", 2.0)]))
    ['female', 'male']
    """
    found: dict[str, set[float]] = {}
    for word, code in pairs:
        found.setdefault(word, set()).add(code)
    return {w: Number(codes.pop()) for w, codes in found.items() if len(codes) == 1}


def _are_words(codes: Iterable[str]) -> bool:
    """Return whether categories are named by words, and none by a number."""
    return all(_number(code) is None for code in codes)


def in_digits(shares: Sequence[float]) -> list[str]:
    """Write shares of a whole so that they add up to 1, the largest giving way.

    Examples
    --------
    >>> in_digits([1.0, 1.0, 1.0])
    ['0.333334', '0.333333', '0.333333']
    """
    total = math.fsum(shares)
    unit = Decimal(1).scaleb(-DIGITS)
    parts = [Decimal(share / total).quantize(unit) for share in shares]
    parts[parts.index(max(parts))] += 1 - sum(parts)
    return [f"{float(part):.{DIGITS}g}" for part in parts]


def _wrong_codes(sheet: Sheet, path: Path_, shares: Mapping[str, float]) -> list[Fault]:
    """Find categories that are not numbers; each is given a free code."""
    taken = {_number(code) for code in shares}
    free = (n for n in range(len(shares) + len(taken)) if n not in taken)
    faults = []
    for code in shares:
        if _number(code) is None:
            faults.append(
                sheet.fault(
                    (*path, code),
                    found=f"`{code}`",
                    allowed="a number that stands for the category, such as "
                    f"{next(free)}, which `title` explains",
                    write="",
                )
            )
    return faults


def _wrong_words(sheet: Sheet, path: Path_, words: Sequence[str]) -> list[Fault]:
    """Find words that an equation could not name."""
    return [
        sheet.fault(
            (*path, word),
            found=f"`{word}`",
            allowed="a number, or a word of letters, digits and _ that is a name",
            write="",
        )
        for word in words
        if not NAME.fullmatch(word) or word in reserved_words()
    ]


def _wrong_shares(
    sheet: Sheet, path: Path_, shares: Mapping[str, float]
) -> list[Fault]:
    """Find shares that are not proportions."""
    return [
        sheet.fault(
            (*path, code),
            found=f"a share of {share:g}",
            allowed="a share from 0 to 1, or from 0 to 100 %",
            write=f"{share:.15g} %" if LEAST <= share <= 100 else "",
        )
        for code, share in shares.items()
        if not 0 <= share <= 1
    ]


def _wrong_sum(
    sheet: Sheet, path: Path_, shares: Mapping[str, float], total: float
) -> Fault:
    """Describe shares that are not of one whole; which of them is wrong is not known.

    What is off by no more than rounding may be is divided by its sum.
    """
    parts = in_digits(list(shares.values())) if abs(total - 1) <= MOST + SLACK else []
    pairs = zip(shares, parts, strict=False)
    return sheet.fault(
        path,
        found=f"shares that add up to {total:.12g}",
        allowed="shares that add up to 1",
        write="{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}" if parts else "",
    )


def _half_unit(sheet: Sheet, path: Path_) -> float:
    """Return half of the last digit's unit, of shares that were rounded alike."""
    node = sheet.value(path)
    entries = list(node.values()) if isinstance(node, dict) else []
    if isinstance(node, list):  # the components of a mixture
        entries = [one.get("share") for one in node if isinstance(one, dict)]
    return min((_unit(entry) / 2 for entry in entries), default=0.0)


def _unit(entry: object) -> float:
    """Return the unit of a share's last digit, as it stands in the sheet."""
    text = str(entry).strip()
    number = text.removesuffix("%").strip()
    try:
        place = int(Decimal(number).as_tuple().exponent)
    except (InvalidOperation, ValueError):
        return 0.0
    return 10.0 ** (place - 2 if text.endswith("%") else place)


def _number(text: str) -> float | None:
    """Read a code; None if it is not a finite number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
