"""Every method of estimation, by its word: what the files of `methods/` declare."""

import functools
from collections.abc import Mapping

from vtrial.errors import Fault, FitError
from vtrial.fit import methods as folder
from vtrial.fit.method import Method
from vtrial.lazy import declared
from vtrial.sheets.words import listed, nearest


@functools.cache
def methods() -> Mapping[str, Method]:
    """Return what `--method` may say, in the order of the docs.

    Examples
    --------
    >>> next(iter(methods()))
    'focei'
    """
    return declared(folder)


def method_of(word: str, options: Mapping[str, int | None]) -> Method:
    """Return a method, once it is known that it takes such options.

    Raises
    ------
    FitError
        If there is none of that word, or an option means nothing to it, or is below 1.
    """
    known = methods()
    if word not in known:
        near = nearest(word, known) or next(iter(known))
        raise FitError("method", f"`{word}`", listed(known, 30, like=word), near)
    method, faults = known[word], []
    for name, value in options.items():
        if value is None:
            continue
        if name not in method.options:
            takes = ", ".join(method.options) or "none"
            allowed = f"left out: of these, {word} takes {takes}"
            faults.append(Fault(name, f"{value} for {word}", allowed, ""))
        elif value < 1:
            faults.append(Fault(name, str(value), "1 or more", ""))
    if faults:
        raise FitError.of(faults)
    return method
