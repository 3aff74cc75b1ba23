"""The covariance of random effects that a protocol takes from a run, and its spread."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from vtrial.errors import DataError
from vtrial.model.covariance import settled
from vtrial.model.model import Model, RandomBlock
from vtrial.protocol.faults import Faults
from vtrial.protocol.population_shape import ParametersShape
from vtrial.sheets.nonmem_output import read_estimates

PATH = ("parameters",)


def with_omega_of(
    model: Model, shape: ParametersShape, path: Path | None, faults: Faults
) -> Model:
    """Return a model whose random effects have OMEGA of a run, and degrees of freedom.

    `path` is the run's .ext file, if one is named.
    """
    before = len(faults.entries)
    blocks = model.random
    if shape.omega:
        blocks = _of_run(model, shape.omega, path, faults)
    blocks = tuple(_with_freedom(model, block, shape, faults) for block in blocks)
    if isinstance(shape.df, dict):
        _check_names(model, shape.df, "df", faults)
    if len(faults.entries) > before or blocks == model.random:
        return model
    return dataclasses.replace(model, random=blocks)


def _check_names(
    model: Model, named: Mapping[str, object], key: str, faults: Faults
) -> None:
    for name in named:
        if name not in model.etas:
            faults.unknown((*PATH, key, name), name, model.etas, "random effect")


def _of_run(
    model: Model, omega: Mapping[str, str], path: Path | None, faults: Faults
) -> tuple[RandomBlock, ...]:
    """Read the covariances of the blocks whose effects are named."""
    at = (*PATH, "omega")
    _check_names(model, omega, "omega", faults)
    if path is None or path.suffix.lower() != ".ext":
        found = "given without an .ext file"
        faults.add(at, found=found, allowed="of one, which `file` names")
        return model.random
    try:
        final = read_estimates(path)
    except DataError as error:
        faults.relay((*PATH, "file"), error)
        return model.random
    numbers = {}
    for name, eta in omega.items():
        written = re.fullmatch(r"ETA\(?(\d+)\)?", eta.strip().upper())
        number = int(written[1]) if written else 0
        if f"OMEGA({number},{number})" not in final:
            many = sum(re.fullmatch(r"OMEGA\((\d+),\1\)", k) is not None for k in final)
            allowed = f"ETA1 to ETA{many}" if many else "an ETA of the run"
            faults.add((*at, name), found=f"`{eta}`", allowed=allowed)
        numbers[name.removeprefix("eta.")] = number
    if 0 in numbers.values():
        return model.random
    return tuple(_block(block, numbers, final, faults) for block in model.random)


def _block(
    block: RandomBlock,
    numbers: Mapping[str, int],
    final: Mapping[str, float],
    faults: Faults,
) -> RandomBlock:
    """Give a block its covariance in a run, if its effects are named."""
    at = (*PATH, "omega")
    lacking = [f"eta.{name}" for name in block.names if name not in numbers]
    if len(lacking) == len(block.names):
        return block
    if lacking:
        found = f"without {' and '.join(lacking)}"
        said = ", ".join(f"eta.{name}" for name in block.names)
        faults.add(at, found=found, allowed=f"given for all of {said}, or for none")
        return block
    places = [numbers[name] for name in block.names]

    def covariance(one: int, two: int) -> float:
        return final.get(f"OMEGA({max(one, two)},{min(one, two)})", 0.0)

    for name, number in numbers.items():
        with_it = [place for place in places if covariance(place, number)]
        if name not in block.names and with_it:
            faults.add(
                (*at, f"eta.{name}"),
                found=f"`ETA{number}`, which varies with ETA{with_it[0]} in the run",
                allowed="one of effects that vary together in the model, too: "
                "`of: [CL, V]`",
            )
            return block
    rows = [[covariance(a, b) for b in places[: i + 1]] for i, a in enumerate(places)]
    whole = settled(rows)
    if not whole:
        faults.add(at, found="no covariance", allowed="a positive semi-definite one")
        return block
    return dataclasses.replace(block, covariance=whole)


def _with_freedom(
    model: Model, block: RandomBlock, shape: ParametersShape, faults: Faults
) -> RandomBlock:
    """Give a block its degrees of freedom, by one of its effects or those of all."""
    at: tuple[str, ...] = (*PATH, "df")
    df = shape.df
    if isinstance(df, dict):
        named = [f"eta.{name}" for name in block.names if f"eta.{name}" in df]
        if not named:
            return block
        at, df = (*at, named[0]), df[named[0]]
    if df is None:
        return block
    least = len(block.names) - 1
    if df <= least:
        told = ", ".join(f"eta.{name}" for name in block.names)
        allowed = f"above {least}, for so many effects ({told}) less one"
        faults.add(at, found=f"{df:g}", allowed=allowed)
        return block
    return dataclasses.replace(block, freedom=float(df))
