"""Families of bodies whose equations jump: by the clock, after doses, with a state.

What begins or ends at a time is told to the independent solver: a step ends there.
"""

import math

from benchmarks.family import AMOUNTS, DAY, ONE, PK, Family, Numbers, Slopes


def pump(p: Numbers, middle: float) -> Slopes:
    """Return the slopes of a drug that a pump gives at its hours of each day."""
    cl, v, km = p["CL"], p["V"], p["KM"]
    on = middle % DAY < p["LONG"]
    made = p["GIVES"] if on else 0.0

    def slopes(_: float, y: list[float]) -> list[float]:
        conc = y[0] / v
        return [made - cl * conc / (1.0 + conc / km)]

    return slopes


def pump_breaks(p: Numbers) -> tuple[float, ...]:
    """Return the times at which the pump starts and stops."""
    days = range(12)
    return tuple(DAY * day + x for day in days for x in (0.0, p["LONG"]))


def window(p: Numbers, middle: float) -> Slopes:
    """Return the slopes of a response whose production is cut for a while."""
    cl, v, kin, kout = p["CL"], p["V"], p["KIN"], p["KOUT"]
    if p["BEGIN"] <= middle < p["BEGIN"] + p["LONG"]:
        kin *= p["LEFT"]

    def slopes(_: float, y: list[float]) -> list[float]:
        central, response = y
        conc = central / v
        return [-cl * conc, kin / (1.0 + conc / p["IC50"]) - kout * response]

    return slopes


def inhibitor(p: Numbers, middle: float) -> Slopes:
    """Return the slopes of a clearance that another drug halves from a time on."""
    vmax, km, v, ka = p["VMAX"], p["KM"], p["V"], p["KA"]
    vmax *= p["LEFT"] if middle >= p["BEGIN"] else 1.0

    def slopes(_: float, y: list[float]) -> list[float]:
        depot, central = y
        conc = central / v
        return [-ka * depot, ka * depot - vmax * conc / (km + conc)]

    return slopes


def stairs(p: Numbers, middle: float) -> Slopes:
    """Return the slopes of a response whose source rises from day to day."""
    kin, kout = p["KIN"] * (1.0 + p["RISE"] * math.floor(middle / DAY)), p["KOUT"]

    def slopes(_: float, y: list[float]) -> list[float]:
        return [kin - kout * y[0] * y[0] / (1.0 + y[0])]

    return slopes


def threshold(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a response that stops above a concentration."""
    cl, v, kin, kout, limit = (p[k] for k in ("CL", "V", "KIN", "KOUT", "LIMIT"))

    def slopes(_: float, y: list[float]) -> list[float]:
        central, response = y
        made = 0.0 if central / v > limit else kin
        return [-cl / v * central, made - kout * response]

    return slopes


def savic(p: Numbers, _: float) -> Slopes:
    """Return the slopes of absorption by a gamma density since the last dose."""
    cl, v, ka, n = p["CL"], p["V"], p["KA"], p["N"]
    ktr, last = (n + 1.0) / p["MTT"], p["last"]
    log_dose = math.log(p["DOSE"] * ktr) - math.lgamma(n + 1.0)

    def slopes(t: float, y: list[float]) -> list[float]:
        _, site, central = y
        x = ktr * max(t - last if math.isfinite(last) else 0.0, 1e-9)
        made = math.exp(log_dose + n * math.log(x) - x)
        return [-y[0], made - ka * site, ka * site - cl / v * central]

    return slopes


FAMILIES = (
    Family(
        "pump by the clock",
        "conc = central/V\nmade = if(mod(t, 24) < LONG, GIVES, 0)\n"
        "d/dt(central) = made - CL*conc/(1 + conc/KM)",
        ("central",),
        PK | {"KM": (0.1, 50.0), "LONG": (0.1, 20.0), "GIVES": (0.3, 30.0)},
        pump,
        lambda _: [0.0],
        into={"central": AMOUNTS},
        breaks=pump_breaks,
    ),
    Family(
        "window on production",
        ONE + "made = if(t >= BEGIN and t < BEGIN + LONG, LEFT*KIN, KIN)\n"
        "d/dt(response) = made/(1 + conc/IC50) - KOUT*response\n"
        "init(response) = KIN/KOUT",
        ("central", "response"),
        PK
        | {
            "KIN": (0.1, 50.0),
            "KOUT": (0.01, 2.0),
            "IC50": (0.02, 20.0),
            "BEGIN": (5.0, 200.0, "even"),
            "LONG": (0.2, 40.0),
            "LEFT": (0.01, 5.0),
        },
        window,
        lambda p: [0.0, p["KIN"] / p["KOUT"]],
        into={"central": AMOUNTS},
        breaks=lambda p: (p["BEGIN"], p["BEGIN"] + p["LONG"]),
    ),
    Family(
        "inhibitor from a time on",
        "conc = central/V\nheld = if(t >= BEGIN, LEFT, 1)\nd/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - held*VMAX*conc/(KM + conc)",
        ("depot", "central"),
        {
            "VMAX": (1.0, 100.0),
            "KM": (0.1, 20.0),
            "V": (5.0, 80.0),
            "KA": (0.05, 4.0),
            "BEGIN": (5.0, 200.0, "even"),
            "LEFT": (0.05, 0.9),
        },
        inhibitor,
        lambda _: [0.0, 0.0],
        into={"depot": AMOUNTS, "central": AMOUNTS},
        breaks=lambda p: (p["BEGIN"],),
    ),
    Family(
        "stairs by the day",
        "made = KIN*(1 + RISE*floor(t/24))\n"
        "d/dt(response) = made - KOUT*response^2/(1 + response)\n"
        "init(response) = START",
        ("response",),
        {
            "KIN": (0.1, 50.0),
            "KOUT": (0.01, 2.0),
            "RISE": (0.05, 1.0),
            "START": (0.1, 10.0),
        },
        stairs,
        lambda p: [p["START"]],
        into={"response": (0.1, 10.0)},
        breaks=lambda _: tuple(DAY * day for day in range(11)),
    ),
    Family(
        "threshold of concentration",
        ONE + "made = if(conc > LIMIT, 0, KIN)\n"
        "d/dt(response) = made - KOUT*response\ninit(response) = KIN/KOUT",
        ("central", "response"),
        PK | {"KIN": (0.1, 50.0), "KOUT": (0.01, 2.0), "LIMIT": (0.02, 20.0)},
        threshold,
        lambda p: [0.0, p["KIN"] / p["KOUT"]],
        into={"central": AMOUNTS},
    ),
    Family(
        "absorption by a gamma density",
        "KTR = (N + 1)/MTT\nx = KTR*max(tad, 1e-9)\n"
        "made = exp(log(DOSE*KTR) + N*log(x) - x - lgamma(N + 1))\n"
        "d/dt(mark) = -mark\nd/dt(site) = made - KA*site\n"
        "d/dt(central) = KA*site - CL/V*central",
        ("mark", "site", "central"),
        PK
        | {
            "KA": (0.1, 4.0),
            "N": (0.5, 20.0),
            "MTT": (0.5, 20.0),
            "DOSE": (10.0, 1000.0),
        },
        savic,
        lambda _: [0.0, 0.0, 0.0],
        into={"mark": (1.0, 1.0)},
        kinds=("bolus",),
    ),
)
