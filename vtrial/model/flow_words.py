"""A flow in words, for people who read a description of a model."""

from vtrial.model.flow import Flow, Law, Station, Way
from vtrial.model.grammar import write_expression


def flow_words(flow: Flow | None) -> list[str]:
    """Return who comes, where they are served and how, a line each.

    Examples
    --------
    >>> from vtrial.model.sheet import load_model
    >>> for line in flow_words(load_model("emergency-department").flow)[:2]:
    ...     print(line[:66])
    from 06:00, arrivals an hour in pieces of 1 h: 2.3667, 2.8, 8.8333
    classes: resus 0.05, urgent 0.2, standard 0.45, minor 0.3
    """
    if flow is None:
        return []
    clock = f"{int(flow.opens):02d}:{round(60 * (flow.opens % 1)):02d}"
    rates = ", ".join(map(write_expression, flow.rates))
    lines = [f"from {clock}, arrivals an hour in pieces of {flow.every:g} h: {rates}"]
    if len(flow.groups) > 1:
        shares = zip(flow.groups, flow.shares, strict=True)
        named = [f"{name} {write_expression(share)}" for name, share in shares]
        lines.append(f"classes: {', '.join(named)}")
    for station in flow.stations:
        lines += _station_words(flow, station)
    return lines


def _station_words(flow: Flow, station: Station) -> list[str]:
    order = "the most urgent" if station.order == "priority" else "who came first"
    lines = [f"{station.name}: {order} is next"]
    for place, group in enumerate(flow.groups):
        service, patience = station.service[place], station.patience[place]
        if service is None:
            continue
        words = f"  {group}: service {_law_words(service)}"
        if patience is not None:
            words += f", leaves after {_law_words(patience)}"
        ways = [_way_words(flow, way) for way in station.ways[place]]
        lines.append(f"{words}; then {', '.join(ways)}")
    return lines


def _law_words(law: Law) -> str:
    return f"{law.word}({', '.join(map(write_expression, law.arguments))}) [h]"


def _way_words(flow: Flow, way: Way) -> str:
    share = write_expression(way.share)
    to = "out" if way.to < 0 else flow.stations[way.to].name
    return to if share == "1" else f"{to} ({share})"
