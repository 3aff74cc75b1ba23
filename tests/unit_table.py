"""Make the table of usual units anew: `python -m tests.unit_table`.

It saves the second or two that a registry of all units takes to be made. What stands in
it is what the registry says; `test_units.py` holds them against each other.
"""

import json
import sys
from collections.abc import Iterator

from vtrial import units

AMOUNTS = ("kg", "g", "mg", "ug", "ng", "pg", "mol", "mmol", "umol", "nmol", "pmol")
AMOUNTS += ("k[IU]", "[IU]", "m[IU]", "u[IU]", "1", "{count}", "10*3", "10*6", "10*9")
AMOUNTS += ("10*12", "kcal", "J", "kJ")
VOLUMES = ("L", "dL", "mL", "uL")
TIMES = ("s", "min", "h", "d", "wk", "mo", "a")
OFTEN = ("min", "h", "d")
BODIES = ("kg", "m2", "{1.73_m2}", "g")
OTHERS = ("%", "m", "cm", "mm", "um", "nm", "m2", "cm2", "mm2", "cm3", "mm3", "kg/m2")
OTHERS += ("mm[Hg]", "Cel", "K", "ms", "us", "Pa", "kPa", "cm[H2O]", "mol/mol", "g/mol")
OTHERS += ("%.L/mmol/wk", "1/cm2", "L/h/m2/a", "L/min/pmol", "L/nmol/d", "min/mL")
OTHERS += ("L2/h/m2/g", "g/[IU]", "mL/mg/min/d", "mg.L/kg/min/pmol", "mg/dL/[IU]")


def codes() -> Iterator[str]:
    """List usual units: amounts and volumes by volume, body and time, and areas."""
    yield from (*OTHERS, *TIMES, *VOLUMES, *(f"1/{time}" for time in TIMES))
    for time in TIMES:
        yield from (f"/{time}", f"{time}-1", f"1/{time}2", f"{time}2")
    for amount in AMOUNTS:
        yield amount
        for below in (*VOLUMES, *BODIES, *TIMES, "mg", "cm", "mm"):
            yield f"{amount}/{below}"
        for time in OFTEN:
            yield from (f"{amount}/{body}/{time}" for body in (*BODIES, "L", "mL"))
            yield from (f"{amount}.{time}/{volume}" for volume in VOLUMES)
            yield from (f"{time}.{amount}/{volume}" for volume in VOLUMES)
            yield f"{amount}/(L.{time})"
    for volume in VOLUMES:
        yield from (f"{volume}/{time}" for time in TIMES)
        for time in OFTEN:
            yield from (f"{volume}/{time}/{body}" for body in BODIES)
            yield from (f"{volume}/{body}/{time}" for body in BODIES)
        yield from (f"{volume}/{below}" for below in (*BODIES, *AMOUNTS))
        yield from (
            f"{volume}/{amount}/{time}" for amount in ("mg", "g") for time in OFTEN
        )
    for above in AMOUNTS:
        yield from (f"{above}/{below}" for below in ("g", "mg", "mol", "mmol"))
        yield from (f"1/({above}/{below})" for below in VOLUMES)


def table() -> dict[str, list]:
    """Return size and dimension of every usual unit that there is, by its UCUM code."""
    found = {}
    for code in dict.fromkeys([*codes(), *map(units.translated, units.COMMON)]):
        try:
            size, kind = units.computed(code)
        except units.NOT_A_UNIT:
            continue
        found[code] = [size, dict(kind.exponents)]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    rows = [
        f"{json.dumps(code)}: {json.dumps(value)}" for code, value in table().items()
    ]
    units.TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    sys.stdout.write(f"{units.TABLE}: {len(rows)} units\n")
