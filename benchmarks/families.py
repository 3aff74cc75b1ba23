"""Families of bodies as trials have them: elimination, responses, tumours, rhythms."""

import math
from collections.abc import Callable

from benchmarks.family import (
    AMOUNTS,
    ONE,
    PK,
    TURN,
    Family,
    Numbers,
    Range,
    Slopes,
    sigmoid,
)


def saturable(p: Numbers, _: float) -> Slopes:
    """Return the slopes of elimination that saturates."""
    vmax, km, v = p["VMAX"], p["KM"], p["V"]

    def slopes(_: float, y: list[float]) -> list[float]:
        conc = y[0] / v
        return [-vmax * conc / (km + conc)]

    return slopes


def saturable_oral(p: Numbers, _: float) -> Slopes:
    """Return the slopes of the same behind a depot, with a second compartment."""
    vmax, km, v, ka = p["VMAX"], p["KM"], p["V"], p["KA"]
    cl, q, v2 = p["CL"], p["Q"], p["V2"]

    def slopes(_: float, y: list[float]) -> list[float]:
        depot, central, rim = y
        conc = central / v
        out = q * conc - q * rim / v2
        taken = ka * depot
        gone = vmax * conc / (km + conc) + cl * conc
        return [-taken, taken - gone - out, out]

    return slopes


def tmdd(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a drug that binds its target (Mager 2001)."""
    cl, v, q, v2, kon, koff = (p[k] for k in ("CL", "V", "Q", "V2", "KON", "KOFF"))
    kdeg, kint, r0 = p["KDEG"], p["KINT"], p["R0"]

    def slopes(_: float, y: list[float]) -> list[float]:
        central, rim, target, pair = y
        conc = central / v
        bound = kon * conc * target - koff * pair
        out = q * conc - q * rim / v2
        return [
            -cl * conc - out - bound * v,
            out,
            kdeg * (r0 - target) - bound,
            bound - kint * pair,
        ]

    return slopes


def turnover(kind: int) -> Callable[[Numbers, float], Slopes]:
    """Return the slopes of an indirect response of a kind, 1 to 4 (Dayneka 1993)."""

    def family(p: Numbers, _: float) -> Slopes:
        cl, v, kin, kout = p["CL"], p["V"], p["KIN"], p["KOUT"]
        most, half, hill = p["EMAX"], p["EC50"], p["HILL"]
        sign = -1.0 if kind < 3 else 1.0

        def slopes(_: float, y: list[float]) -> list[float]:
            central, response = y
            factor = 1.0 + sign * most * sigmoid(central / v, half, hill)
            made, lost = kin, kout * response
            if kind in (1, 3):
                made *= factor
            else:
                lost *= factor
            return [-cl / v * central, made - lost]

        return slopes

    return family


def turnover_text(kind: int) -> str:
    """Write an indirect response of a kind, 1 to 4."""
    sign = "-" if kind < 3 else "+"
    factor = f"(1 {sign} effect)"
    made, lost = ("*" + factor, "") if kind in (1, 3) else ("", "*" + factor)
    return (
        ONE + "effect = EMAX*conc^HILL/(EC50^HILL + conc^HILL)\n"
        f"d/dt(response) = KIN{made} - KOUT{lost}*response\ninit(response) = KIN/KOUT"
    )


def indirect(kind: int) -> Family:
    """Return an indirect response with a sigmoid effect."""
    most: Range = (0.2, 1.0) if kind < 3 else (0.2, 20.0)
    return Family(
        f"indirect response {kind}",
        turnover_text(kind),
        ("central", "response"),
        PK
        | {
            "KIN": (0.1, 50.0),
            "KOUT": (0.01, 2.0),
            "EMAX": most,
            "EC50": (0.02, 20.0),
            "HILL": (0.3, 4.0),
        },
        turnover(kind),
        lambda p: [0.0, p["KIN"] / p["KOUT"]],
        into={"central": AMOUNTS},
    )


def friberg(p: Numbers, _: float) -> Slopes:
    """Return the slopes of neutrophils in transit (Friberg 2002)."""
    cl, v, slope, base, gamma = (p[k] for k in ("CL", "V", "SLOPE", "BASE", "GAMMA"))
    k = 4.0 / p["MTT"]

    def slopes(_: float, y: list[float]) -> list[float]:
        central, prol, a, b, c, circ = y
        grow = (1.0 - slope * central / v) * (base / circ) ** gamma
        return [
            -cl / v * central,
            k * prol * (grow - 1.0),
            k * (prol - a),
            k * (a - b),
            k * (b - c),
            k * (c - circ),
        ]

    return slopes


def friberg_logarithms(p: Numbers, _: float) -> Slopes:
    """Return the slopes of their logarithms, one cell of the chain fewer."""
    cl, v, slope, base, gamma = (p[k] for k in ("CL", "V", "SLOPE", "BASE", "GAMMA"))
    k, exp = 4.0 / p["MTT"], math.exp

    def slopes(_: float, y: list[float]) -> list[float]:
        central, prol, a, b, circ = y
        grow = (1.0 - slope * central / v) * exp(gamma * (math.log(base) - circ))
        return [
            -cl / v * central,
            k * (grow - 1.0),
            k * (exp(prol - a) - 1.0),
            k * (exp(a - b) - 1.0),
            k * (exp(b - circ) - 1.0),
        ]

    return slopes


def simeoni(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a tumour whose hit cells die late (Simeoni 2004)."""
    cl, v, l0, l1, k1, k2 = (p[k] for k in ("CL", "V", "L0", "L1", "K1", "K2"))

    def slopes(_: float, y: list[float]) -> list[float]:
        central, a, b, c, d = y
        whole = a + b + c + d
        grown = l0 * a / (1.0 + (l0 / l1 * whole) ** 20) ** 0.05
        hit = k2 * central / v * a
        return [
            -cl / v * central,
            grown - hit,
            hit - k1 * b,
            k1 * (b - c),
            k1 * (c - d),
        ]

    return slopes


def gompertz(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a tumour that grows ever more slowly."""
    cl, v, grow, size = p["CL"], p["V"], p["KG"], p["SMAX"]
    kill, half = p["RATIO"] * grow, p["EC50"]

    def slopes(_: float, y: list[float]) -> list[float]:
        central, tumour = y
        conc = central / v
        rate = grow * math.log(size / tumour) - kill * conc / (half + conc)
        return [-cl / v * central, rate * tumour]

    return slopes


def rhythm_of_production(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a response that is made by the time of day."""
    cl, v, kin, kout = p["CL"], p["V"], p["KIN"], p["KOUT"]
    swing, peak, most, half = p["SWING"], p["PEAK"], p["IMAX"], p["IC50"]

    def slopes(t: float, y: list[float]) -> list[float]:
        central, response = y
        conc = central / v
        made = kin * (1.0 + swing * math.cos(TURN * (t - peak)))
        made *= 1.0 - most * conc / (half + conc)
        return [-cl / v * central, made - kout * response]

    return slopes


def rhythm_of_clearance(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a drug that is lost by the time of day."""
    cl, v, ka, swing, peak = (p[k] for k in ("CL", "V", "KA", "SWING", "PEAK"))

    def slopes(t: float, y: list[float]) -> list[float]:
        depot, central = y
        rate = cl / v * (1.0 + swing * math.cos(TURN * (t - peak)))
        return [-ka * depot, ka * depot - rate * central]

    return slopes


def log_decay(p: Numbers, _: float) -> Slopes:
    """Return the slopes of the logarithm of cells that die and are replaced."""
    cl, v, k, source, kill = (p[k] for k in ("CL", "V", "K", "SOURCE", "KILL"))

    def slopes(_: float, y: list[float]) -> list[float]:
        central, cells = y
        return [
            -cl / v * central,
            k * (source * math.exp(-cells) - 1.0) - kill * central / v,
        ]

    return slopes


def lotka_volterra(p: Numbers, _: float) -> Slopes:
    """Return the slopes of prey and hunters."""
    a, b, c, d = (p[k] for k in "ABCD")

    def slopes(_: float, y: list[float]) -> list[float]:
        prey, hunter = y
        return [a * prey - b * prey * hunter, d * prey * hunter - c * hunter]

    return slopes


def van_der_pol(p: Numbers, _: float) -> Slopes:
    """Return the slopes of an oscillator that relaxes."""
    mu = p["MU"]

    def slopes(_: float, y: list[float]) -> list[float]:
        x, v = y
        return [v, mu * (1.0 - x * x) * v - x]

    return slopes


def lorenz(p: Numbers, _: float) -> Slopes:
    """Return the slopes of Lorenz' weather."""
    sigma, rho, beta = p["SIGMA"], p["RHO"], p["BETA"]

    def slopes(_: float, y: list[float]) -> list[float]:
        a, b, c = y
        return [sigma * (b - a), a * (rho - c) - b, a * b - beta * c]

    return slopes


def crossing(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a state that falls below zero, by right."""
    cl, v, pull, limit = p["CL"], p["V"], p["PULL"], p["LIMIT"]

    def slopes(_: float, y: list[float]) -> list[float]:
        central, x = y
        conc = central / v
        return [
            -cl / v * central,
            pull * ((x / limit) ** 2 - 1.0) - pull * conc / (1.0 + conc),
        ]

    return slopes


FAMILIES = (
    Family(
        "saturable",
        "conc = central/V\nd/dt(central) = -VMAX*conc/(KM + conc)",
        ("central",),
        {"VMAX": (1.0, 100.0), "KM": (0.001, 20.0), "V": (5.0, 80.0)},
        saturable,
        lambda _: [0.0],
        into={"central": AMOUNTS},
    ),
    Family(
        "saturable, oral, 2 compartments",
        "conc = central/V\nd/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - VMAX*conc/(KM + conc) - CL*conc - Q*conc"
        " + Q/V2*rim\n"
        "d/dt(rim) = Q*conc - Q/V2*rim",
        ("depot", "central", "rim"),
        PK
        | {
            "VMAX": (1.0, 100.0),
            "KM": (0.001, 20.0),
            "KA": (0.05, 4.0),
            "CL": (0.01, 1.0),
            "Q": (0.1, 30.0),
            "V2": (2.0, 300.0),
        },
        saturable_oral,
        lambda _: [0.0, 0.0, 0.0],
        into={"depot": AMOUNTS, "central": AMOUNTS},
    ),
    Family(
        "target-mediated disposition",
        "conc = central/V\nbound = KON*conc*target - KOFF*pair\n"
        "d/dt(central) = -CL*conc - Q*conc + Q/V2*rim - bound*V\n"
        "d/dt(rim) = Q*conc - Q/V2*rim\n"
        "d/dt(target) = KDEG*R0 - KDEG*target - bound\n"
        "d/dt(pair) = bound - KINT*pair\ninit(target) = R0",
        ("central", "rim", "target", "pair"),
        {
            "CL": (0.003, 0.1),
            "V": (2.0, 6.0),
            "Q": (0.005, 0.1),
            "V2": (1.0, 6.0),
            "KON": (0.02, 5.0),
            "KOFF": (0.001, 1.0),
            "KDEG": (0.005, 0.5),
            "KINT": (0.005, 0.5),
            "R0": (0.1, 50.0),
        },
        tmdd,
        lambda p: [0.0, 0.0, p["R0"], 0.0],
        into={"central": (0.3, 1000.0)},
        horizon=672.0,
        stiff=True,
    ),
    *(indirect(kind) for kind in (1, 2, 3, 4)),
    Family(
        "neutrophils",
        ONE + "k = 4/MTT\n"
        "d/dt(prol) = k*prol*((1 - SLOPE*conc)*(BASE/circ)^GAMMA - 1)\n"
        "d/dt(t1) = k*(prol - t1)\nd/dt(t2) = k*(t1 - t2)\nd/dt(t3) = k*(t2 - t3)\n"
        "d/dt(circ) = k*(t3 - circ)\n"
        + "".join(f"init({x}) = BASE\n" for x in ("prol", "t1", "t2", "t3", "circ")),
        ("central", "prol", "t1", "t2", "t3", "circ"),
        PK
        | {
            "SLOPE": (0.01, 1.0),
            "BASE": (2.0, 8.0),
            "GAMMA": (0.1, 0.3),
            "MTT": (50.0, 150.0),
        },
        friberg,
        lambda p: [0.0] + 5 * [p["BASE"]],
        into={"central": (10.0, 300.0)},
        horizon=672.0,
    ),
    Family(
        "neutrophils as logarithms",
        ONE + "k = 4/MTT\n"
        "d/dt(prol) = k*((1 - SLOPE*conc)*(BASE/exp(circ))^GAMMA - 1)\n"
        "d/dt(t1) = k*(exp(prol - t1) - 1)\nd/dt(t2) = k*(exp(t1 - t2) - 1)\n"
        "d/dt(circ) = k*(exp(t2 - circ) - 1)\n"
        + "".join(f"init({x}) = log(BASE)\n" for x in ("prol", "t1", "t2", "circ")),
        ("central", "prol", "t1", "t2", "circ"),
        PK
        | {
            "SLOPE": (0.05, 5.0),
            "BASE": (2.0, 8.0),
            "GAMMA": (0.1, 0.3),
            "MTT": (50.0, 150.0),
        },
        friberg_logarithms,
        lambda p: [0.0] + 4 * [math.log(p["BASE"])],
        into={"central": (10.0, 300.0)},
        horizon=672.0,
    ),
    Family(
        "tumour by Simeoni",
        ONE + "w = x1 + x2 + x3 + x4\nhit = K2*conc*x1\n"
        "d/dt(x1) = L0*x1/(1 + (L0/L1*w)^20)^(1/20) - hit\n"
        "d/dt(x2) = hit - K1*x2\nd/dt(x3) = K1*(x2 - x3)\n"
        "d/dt(x4) = K1*(x3 - x4)\ninit(x1) = W0",
        ("central", "x1", "x2", "x3", "x4"),
        PK
        | {
            "L0": (0.003, 0.02),
            "L1": (0.005, 0.05),
            "K1": (0.005, 0.1),
            "K2": (0.0005, 0.1),
            "W0": (0.01, 0.5),
        },
        simeoni,
        lambda p: [0.0, p["W0"], 0.0, 0.0, 0.0],
        into={"central": AMOUNTS},
        horizon=480.0,
    ),
    Family(
        "tumour by Gompertz",
        ONE + "d/dt(size) = KG*size*log(SMAX/size) - RATIO*KG*conc/(EC50 + conc)*size\n"
        "init(size) = W0",
        ("central", "size"),
        PK
        | {
            "KG": (0.001, 0.05),
            "SMAX": (1e2, 1e4),
            "RATIO": (0.2, 10.0),
            "EC50": (0.02, 20.0),
            "W0": (1.0, 50.0),
        },
        gompertz,
        lambda p: [0.0, p["W0"]],
        into={"central": AMOUNTS},
        horizon=672.0,
    ),
    Family(
        "rhythm of production",
        ONE + "made = KIN*(1 + SWING*cos(2*3.141592653589793*(t - PEAK)/24))\n"
        "d/dt(response) = made*(1 - IMAX*conc/(IC50 + conc)) - KOUT*response\n"
        "init(response) = KIN/KOUT",
        ("central", "response"),
        PK
        | {
            "KIN": (0.1, 50.0),
            "KOUT": (0.01, 2.0),
            "SWING": (0.1, 1.0),
            "PEAK": (0.0, 24.0, "even"),
            "IMAX": (0.2, 1.0),
            "IC50": (0.02, 20.0),
        },
        rhythm_of_production,
        lambda p: [0.0, p["KIN"] / p["KOUT"]],
        into={"central": AMOUNTS},
    ),
    Family(
        "rhythm of clearance",
        "rate = CL/V*(1 + SWING*cos(2*3.141592653589793*(t - PEAK)/24))\n"
        "d/dt(depot) = -KA*depot\nd/dt(central) = KA*depot - rate*central",
        ("depot", "central"),
        PK | {"KA": (0.05, 4.0), "SWING": (0.1, 1.0), "PEAK": (0.0, 24.0, "even")},
        rhythm_of_clearance,
        lambda _: [0.0, 0.0],
        into={"depot": AMOUNTS, "central": AMOUNTS},
    ),
    Family(
        "logarithm of cells",
        ONE + "d/dt(cells) = K*(SOURCE*exp(-cells) - 1) - KILL*conc\n"
        "init(cells) = log(START)",
        ("central", "cells"),
        PK
        | {
            "K": (0.01, 1.0),
            "SOURCE": (0.01, 10.0),
            "KILL": (0.001, 0.1),
            "START": (0.1, 1000.0),
        },
        log_decay,
        lambda p: [0.0, math.log(p["START"])],
        into={"central": AMOUNTS},
    ),
    Family(
        "Lotka and Volterra",
        "d/dt(prey) = A*prey - B*prey*hunter\n"
        "d/dt(hunter) = D*prey*hunter - C*hunter\n"
        "init(prey) = PREY\ninit(hunter) = HUNTER",
        ("prey", "hunter"),
        {
            "A": (0.1, 1.0),
            "B": (0.02, 0.2),
            "C": (0.1, 1.0),
            "D": (0.01, 0.1),
            "PREY": (3.0, 30.0),
            "HUNTER": (1.0, 10.0),
        },
        lotka_volterra,
        lambda p: [p["PREY"], p["HUNTER"]],
        into={"prey": (0.3, 10.0)},
        horizon=60.0,
    ),
    Family(
        "van der Pol",
        "d/dt(x) = v\nd/dt(v) = MU*(1 - x^2)*v - x\ninit(x) = X0\ninit(v) = V0",
        ("x", "v"),
        {"MU": (0.1, 20.0), "X0": (-2.0, 2.0, "even"), "V0": (-2.0, 2.0, "even")},
        van_der_pol,
        lambda p: [p["X0"], p["V0"]],
        into={"x": (0.1, 2.0)},
        kinds=("bolus",),
        horizon=40.0,
        stiff=True,
    ),
    Family(
        "Lorenz",
        "d/dt(a) = SIGMA*(b - a)\nd/dt(b) = a*(RHO - c) - b\n"
        "d/dt(c) = a*b - BETA*c\ninit(a) = A0\ninit(b) = B0\ninit(c) = C0",
        ("a", "b", "c"),
        {
            "SIGMA": (8.0, 12.0),
            "RHO": (20.0, 35.0),
            "BETA": (2.0, 3.0),
            "A0": (-10.0, 10.0, "even"),
            "B0": (-10.0, 10.0, "even"),
            "C0": (10.0, 30.0, "even"),
        },
        lorenz,
        lambda p: [p["A0"], p["B0"], p["C0"]],
        into={"a": (0.1, 5.0)},
        kinds=("bolus",),
        horizon=2.5,
    ),
    Family(
        "crossing zero",
        ONE + "d/dt(x) = PULL*((x/LIMIT)^2 - 1) - PULL*conc/(1 + conc)\n"
        "init(x) = SHARE*LIMIT",
        ("central", "x"),
        PK
        | {
            "PULL": (0.1, 10.0),
            "LIMIT": (0.5, 100.0),
            "SHARE": (-1.5, 0.9, "even"),
        },
        crossing,
        lambda p: [0.0, p["SHARE"] * p["LIMIT"]],
        into={"central": AMOUNTS},
    ),
)
