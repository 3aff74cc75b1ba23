"""A day of a flow: its people on their ways through the stations."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.model.flow import Flow, Station
from vtrial.model.tree import evaluate
from vtrial.solver.queue.people import (
    People,
    Values,
    chosen,
    lengths,
    people,
    uniforms,
)
from vtrial.solver.queue.pool import begun_in_order
from vtrial.solver.queue.ranked import begun_by_rank
from vtrial.solver.queue.servers import Rota


class Visit(NamedTuple):
    """What became of people at a station; (person) each, infinite for who never came.

    Fields
    ------
    joined
        [h] When they came.
    parted
        [h] When they left the queue: served, or having given up.
    ended
        [h] When they left the station.
    seen
        Whether they were served.
    """

    joined: Float[Array, " person"]
    parted: Float[Array, " person"]
    ended: Float[Array, " person"]
    seen: Bool[Array, " person"]


class Day(NamedTuple):
    """The people of a day, what became of them at each station, and the rotas.

    `full` says whether more people came than there was room for.
    """

    people: People
    visits: tuple[Visit, ...]
    rotas: tuple[Rota | None, ...]
    full: Bool[Array, ""]


def day(
    flow: Flow, values: Values, key: Key[Array, ""], *, most: int, servers: int
) -> Day:
    """Follow the people of one subject's day through the stations.

    Service, patience and ways are drawn by the station's name and a person's ordinal.

    Parameters
    ----------
    values
        The model's inputs, by name.
    most
        Room for so many people.
    servers
        The highest number of servers of any station.
    """
    who, full = people(flow, values, key, most)
    comes = [jnp.full(most, jnp.inf, who.arrives.dtype)] * len(flow.stations)
    for place in range(len(flow.stations)):
        firsts = jnp.asarray([first == place for first in flow.first])
        comes[place] = jnp.where(firsts[who.group], who.arrives, jnp.inf)
    visits: dict[int, Visit] = {}
    rotas = [_rota(flow, station, values) for station in flow.stations]
    for place in flow.order:
        station, joined = flow.stations[place], comes[place]
        visit = _visit(station, rotas[place], values, key, who, joined, servers)
        visits[place] = visit
        to = _next(station, values, key, who)
        goes = visit.seen & jnp.isfinite(visit.ended)
        for other in range(len(flow.stations)):
            there = goes & (to == other)
            comes[other] = jnp.where(there, visit.ended, comes[other])
    inside = tuple(visits[place] for place in range(len(flow.stations)))
    return Day(who, inside, tuple(rotas), full)


def _rota(flow: Flow, station: Station, values: Values) -> Rota | None:
    """Return how many servers there are when; None where they are unlimited."""
    if not station.pieces:
        return None
    count = jnp.stack([values[name] for name in station.servers])
    begins = flow.every * jnp.arange(station.pieces, dtype=count.dtype)
    return Rota(begins, jnp.round(count).astype(int))


def _visit(
    station: Station,
    rota: Rota | None,
    values: Values,
    key: Key[Array, ""],
    who: People,
    joined: Float[Array, " person"],
    servers: int,
) -> Visit:
    """Serve those who come to a station."""
    most, name = joined.shape[0], station.name
    drawn = uniforms(key, f"service {name}", most)
    service = lengths(station.service, values, who.group, drawn)
    patience = jnp.full(most, jnp.inf, joined.dtype)
    if any(law is not None for law in station.patience):
        drawn = uniforms(key, f"patience {name}", most)
        patience = lengths(station.patience, values, who.group, drawn)
    if rota is None:
        begins = joined
    elif station.is_pool:
        order = jnp.argsort(joined)
        back = jnp.argsort(order)
        begins = begun_in_order(rota, joined[order], service[order], servers)[back]
    else:
        begins = begun_by_rank(
            rota,
            joined,
            service,
            servers,
            rank=jnp.asarray(station.ranks)[who.group],
            ranks=max(station.ranks) + 1,
            patience=patience,
        )
    seen = jnp.isfinite(begins)
    parted = jnp.where(seen, begins, joined + patience)
    ended = jnp.where(seen, begins + service, parted)
    return Visit(joined, parted, ended, seen)


def _next(
    station: Station, values: Values, key: Key[Array, ""], who: People
) -> Int[Array, " person"]:
    """Return where each goes from a station; -1 for out."""
    drawn = uniforms(key, f"way {station.name}", who.group.shape[0])
    goes = jnp.full(who.group.shape, -1)
    for group, ways in enumerate(station.ways):
        shares = jnp.stack(
            [jnp.asarray(evaluate(way.share, values), drawn.dtype) for way in ways]
        )
        to = jnp.asarray([way.to for way in ways])[chosen(shares, drawn)]
        goes = jnp.where(who.group == group, to, goes)
    return goes
