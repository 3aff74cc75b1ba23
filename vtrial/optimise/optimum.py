"""The Optimum: a regimen, why it is that one, and whether it holds on fresh people."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vtrial.dosing.regimen import Regimen
from vtrial.optimise.problem import Point
from vtrial.protocol.protocol import Protocol

FILE = "optimum.json"
TABLES = ("course", "candidates", "verification", "front")


@dataclass(frozen=True, eq=False)
class Optimum:
    """What was found.

    Fields
    ------
    protocol
        The protocol with its variables at what was found.
    arm
        Name of the arm that they are of.
    values
        The variables as they would be written in the sheet, by name.
    point
        The same as numbers, in the order of the sheet.
    holds
        Whether all limits are kept to by fresh people.
    by
        `gradient` or `Bayesian`, and why, in words.
    course
        A row for each candidate that the search looked at.
    candidates
        A row for each real candidate, the best first; `verified` ones with the numbers
        of fresh people.
    verification
        A row for the goal and each limit of what was found.
    front
        A row for each point of the front; empty without one.
    digest
        Of all that it was made of.
    """

    protocol: Protocol
    arm: str
    values: dict[str, str]
    point: Point
    holds: bool
    by: str
    course: pd.DataFrame
    candidates: pd.DataFrame
    verification: pd.DataFrame
    front: pd.DataFrame
    digest: str

    @property
    def regimen(self) -> Regimen | None:
        """What the arm is given."""
        return self.protocol.arm(self.arm).regimen

    @property
    def words(self) -> str:
        """The result in a sentence or two."""
        values = ", ".join(f"{name} {value}" for name, value in self.values.items())
        given = f": {self.regimen.words}" if self.regimen else ""
        tried = int((self.candidates["verified"]).sum())
        if not self.holds:
            return (
                f"No candidate keeps to all limits on fresh people ({tried} were "
                f"verified); the nearest is {values}{given}."
            )
        passed = f" The {tried - 1} before it did not hold." if tried > 1 else ""
        return f"{values}{given}. It holds on fresh people.{passed}"

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {name: getattr(self, name) for name in TABLES}

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "protocol": self.protocol.name,
            "arm": self.arm,
            "values": self.values,
            "regimen": self.regimen.words if self.regimen else "",
            "holds": self.holds,
            "by": self.by,
            "digest": self.digest,
        } | {name: table.to_dict("records") for name, table in self.frames.items()}


def write_optimum(found: Optimum, folder: Path) -> Path:
    """Write `optimum.json`, all that was found, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_clean(found.as_data()), indent=2, ensure_ascii=False)
    return _put(folder / FILE, f"{text}\n")


def _put(path: Path, text: str) -> Path:
    """Write a file whole, or leave what was there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _clean(value: Any) -> Any:
    """Turn numbers that JSON lacks into null."""
    if isinstance(value, dict):
        return {str(key): _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
