"""Servers of a flow as an arm sets them: a number, or one for each piece of a day."""

from collections.abc import Iterator

from vtrial.model.flow import SCALE, servers_name, settable
from vtrial.model.flow_shape import MOST_SERVERS
from vtrial.model.model import Model
from vtrial.protocol.faults import Faults
from vtrial.sheets.sheet import Path_
from vtrial.sheets.validate import said

Setting = float | str | list[float]


def rotas_of(model: Model | None) -> dict[str, tuple[str, ...]]:
    """Return the inputs of each rota that an arm may set, by its name.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> len(rotas_of(load_model("emergency-department"))["physician.servers"])
    18
    """
    if model is None or model.flow is None:
        return {}
    stations = [station for station in model.flow.stations if station.pieces]
    return {servers_name(one.name): one.servers for one in stations}


def settings(
    path: Path_,
    given: dict[str, Setting],
    model: Model | None,
    faults: Faults,
) -> Iterator[tuple[str, str, float | str]]:
    """Yield what is written, the input that it is about, and the input's value."""
    rotas = rotas_of(model)
    for target, value in given.items():
        at = (*path, target)
        if target in rotas:
            names = rotas[target]
            for name, one in zip(
                names, _servers(at, value, len(names), faults), strict=False
            ):
                yield target, name, one
        elif settable(target) in rotas:
            allowed = f"`{settable(target)}`, with a list for the pieces of the day"
            faults.add(at, found=f"`{target}`, one piece of the day", allowed=allowed)
        elif target == SCALE and rotas and isinstance(value, int | float) and value < 0:
            faults.add(at, found=said(value), allowed="0 or more")
        elif isinstance(value, list) and model and target not in model.inputs:
            yield target, target, 0.0  # whose name is refused where it is read
        elif isinstance(value, list):
            found = "a list, though it is one number"
            allowed = "a number or an equation"
            if model is not None and rotas:
                allowed += f"; lists are for {', '.join(rotas)}"
            faults.add(at, found=found, allowed=allowed)
        else:
            yield target, target, value


def _servers(
    path: Path_, value: Setting, pieces: int, faults: Faults
) -> list[float | str]:
    """Read a rota; equations are of the model's inputs, and hold in every piece."""
    if isinstance(value, str):
        return [value] * pieces
    each = value if isinstance(value, list) else [value] * pieces
    if len(each) != pieces:
        allowed = f"{pieces}, one for each piece of the day, or one number for all"
        faults.add(path, found=f"{len(each)} numbers of servers", allowed=allowed)
        return []
    for place, one in enumerate(each):
        if one != int(one) or not 0 <= one <= MOST_SERVERS:
            at = (*path, place) if isinstance(value, list) else path
            allowed = f"a whole number from 0 to {MOST_SERVERS}"
            faults.add(at, found=said(one), allowed=allowed)
            return []
    if each[-1] == 0:
        allowed = "1 or more at the end: those stay until everybody has been served"
        faults.add(path, found="0 in the last piece", allowed=allowed)
        return []
    return [float(one) for one in each]
