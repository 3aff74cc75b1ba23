"""Families of bodies in whose corners solvers get lost.

Amounts far from one, states that reach zero at a slope that has no derivative there,
rates that turn fast only later, chains, clocks and chaos.
"""

import math

from benchmarks.family import (
    AMOUNTS,
    ONE,
    PK,
    Family,
    Numbers,
    Slopes,
    power,
)


def chain(p: Numbers, _: float) -> Slopes:
    """Return the slopes of eight transits before elimination that saturates."""
    vmax, km, v = p["VMAX"], p["KM"], p["V"]
    ktr = 9.0 / p["MTT"]

    def slopes(_: float, y: list[float]) -> list[float]:
        moved = [ktr * x for x in y[:-1]]
        conc = y[-1] / v
        found = [-moved[0]]
        found += [a - b for a, b in zip(moved[:-1], moved[1:], strict=True)]
        return [*found, moved[-1] - vmax * conc / (km + conc)]

    return slopes


CHAIN = ["depot", *(f"a{i}" for i in range(1, 8))]


def chain_text() -> str:
    """Write eight transits before elimination that saturates."""
    lines = ["KTR = 9/MTT", "conc = central/V", "d/dt(depot) = -KTR*depot"]
    lines += [
        f"d/dt({after}) = KTR*({before} - {after})"
        for before, after in zip(CHAIN[:-1], CHAIN[1:], strict=True)
    ]
    return "\n".join([*lines, "d/dt(central) = KTR*a7 - VMAX*conc/(KM + conc)"])


def tiny(p: Numbers, _: float) -> Slopes:
    """Return the slopes of loss that saturates, in a volume that is no litre."""
    v, vmax, km = p["V"], p["VMAX"], p["KM"]

    def slopes(_: float, y: list[float]) -> list[float]:
        conc = y[0] / v
        return [-v * vmax * conc / (km + conc)]

    return slopes


def cells(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a virus until target cells run out."""
    rnot, delta, rho, c, k = (p[x] for x in ("RNOT", "DELTA", "RHO", "C", "K"))
    beta = rnot * c * delta / (rho * p["T0"])

    def slopes(_: float, y: list[float]) -> list[float]:
        target, latent, sick, virus = y
        hit = beta * target * virus
        return [
            -hit,
            hit - k * latent,
            k * latent - delta * sick,
            rho * sick - c * virus,
        ]

    return slopes


def draining(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a vessel that is empty at a time, not ever later."""
    k, hill = p["K"], p["HILL"]

    def slopes(_: float, y: list[float]) -> list[float]:
        return [-k * power(y[0], hill)]

    return slopes


def rooted(p: Numbers, _: float) -> Slopes:
    """Return the slopes of cells that an infused drug kills by a root of it."""
    cl, v, ka, grow, kill, hill = (
        p[x] for x in ("CL", "V", "KA", "KG", "KILL", "HILL")
    )

    def slopes(_: float, y: list[float]) -> list[float]:
        depot, central, alive, dead = y
        lost = kill * power(central / v, hill) * alive
        return [
            -ka * depot,
            ka * depot - cl / v * central,
            grow * alive * (1.0 - alive / 100.0) - lost,
            lost - 0.1 * dead,
        ]

    return slopes


def flame(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a flame: slow, then burning, then held fast."""
    k = 1.0 / (p["SMALL"] * p["WHEN"])

    def slopes(_: float, y: list[float]) -> list[float]:
        return [k * y[0] * y[0] * (1.0 - y[0])]

    return slopes


def held_later(p: Numbers, _: float) -> Slopes:
    """Return the slopes of what is held ever faster to a course, slowly at first."""
    grow, top, base = p["G"], p["TOP"], p["BASE"]

    def slopes(t: float, y: list[float]) -> list[float]:
        held, grown = y
        return [
            grown * (base + math.cos(t / 4.0) - held),
            grow * grown * (1.0 - grown / top),
        ]

    return slopes


def captured(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a receptor that a drug, once given, binds at once."""
    cl, v, kon, kdeg, r0 = (p[x] for x in ("CL", "V", "KON", "KDEG", "R0"))

    def slopes(_: float, y: list[float]) -> list[float]:
        central, free, taken = y
        bound = kon * central / v * free
        return [-cl / v * central, kdeg * (r0 - free) - bound, bound - kdeg * taken]

    return slopes


def induction(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a drug that raises its own clearance."""
    cl, v, kenz, most, half = (p[x] for x in ("CL", "V", "KENZ", "EMAX", "EC50"))

    def slopes(_: float, y: list[float]) -> list[float]:
        central, enzyme = y
        conc = central / v
        return [
            -cl * enzyme * conc,
            kenz * (1.0 + most * conc / (half + conc) - enzyme),
        ]

    return slopes


def quasi_steady(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a drug in balance with its target (Gibiansky 2008)."""
    cl, v, kss, kdeg, kint, r0 = (
        p[x] for x in ("CL", "V", "KSS", "KDEG", "KINT", "R0")
    )

    def slopes(_: float, y: list[float]) -> list[float]:
        whole, target = y
        more = whole / v - target - kss
        free = 0.5 * (more + math.sqrt(more * more + 4.0 * kss * whole / v))
        bound = target * free / (kss + free)
        return [
            -cl * free - kint * bound * v,
            kdeg * (r0 - target) - (kint - kdeg) * bound,
        ]

    return slopes


def tolerance(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a response from a pool that runs empty."""
    cl, v, kin, ks, kout, most, half = (
        p[x] for x in ("CL", "V", "KIN", "KS", "KOUT", "EMAX", "EC50")
    )

    def slopes(_: float, y: list[float]) -> list[float]:
        central, pool, response = y
        conc = central / v
        freed = ks * (1.0 + most * conc / (half + conc)) * pool
        return [-cl * conc, kin - freed, freed - kout * response]

    return slopes


def brusselator(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a chemical clock."""
    a, b, k = p["A"], p["B"], p["K"]

    def slopes(_: float, y: list[float]) -> list[float]:
        x, z = y
        made = x * x * z
        return [k * (a + made - (b + 1.0) * x), k * (b * x - made)]

    return slopes


def pendulum(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a pendulum that is pushed, and swings out."""
    stiffness, friction = p["STIFF"], p["FRICTION"]

    def slopes(_: float, y: list[float]) -> list[float]:
        angle, speed = y
        return [speed, -stiffness * math.sin(angle) - friction * speed]

    return slopes


def rossler(p: Numbers, _: float) -> Slopes:
    """Return the slopes of Roessler's system."""
    a, b, c = p["A"], p["B"], p["C"]

    def slopes(_: float, y: list[float]) -> list[float]:
        x, z, w = y
        return [-z - w, x + a * z, b + w * (x - c)]

    return slopes


def neuron(p: Numbers, _: float) -> Slopes:
    """Return the slopes of a nerve cell (FitzHugh and Nagumo)."""
    current, slow = p["CURRENT"], p["SLOW"]

    def slopes(_: float, y: list[float]) -> list[float]:
        v, w = y
        return [v - v * v * v / 3.0 - w + current, slow * (v + 0.7 - 0.8 * w)]

    return slopes


def glucose(p: Numbers, _: float) -> Slopes:
    """Return the slopes of glucose and insulin after meals (minimal model)."""
    ka, sg, si, p2, gb, n, gamma = (
        p[x] for x in ("KA", "SG", "SI", "P2", "GB", "N", "GAMMA")
    )

    def slopes(_: float, y: list[float]) -> list[float]:
        gut, sugar, action, insulin = y
        return [
            -ka * gut,
            ka * gut / 15.0 - (sg + action) * sugar + sg * gb,
            -p2 * action + p2 * si * insulin,
            gamma * max(sugar - gb, 0.0) - n * insulin,
        ]

    return slopes


EMAX_TEXT = "EMAX*conc/(EC50 + conc)"
FAMILIES = (
    Family(
        "chain of transits",
        chain_text(),
        (*CHAIN, "central"),
        {
            "MTT": (0.5, 48.0),
            "VMAX": (1.0, 100.0),
            "KM": (0.01, 20.0),
            "V": (5.0, 80.0),
        },
        chain,
        lambda _: 9 * [0.0],
        into={"depot": AMOUNTS},
    ),
    Family(
        "tiny amounts",
        "conc = cell/V\nd/dt(cell) = -V*VMAX*conc/(KM + conc)",
        ("cell",),
        {"V": (3e-13, 3e-12), "VMAX": (1e-4, 1e-2), "KM": (1e-4, 1e-2)},
        tiny,
        lambda _: [0.0],
        into={"cell": (1e-16, 1e-13)},
        scale=1e-16,
    ),
    Family(
        "virus and target cells",
        "BETA = RNOT*C*DELTA/(RHO*T0)\nhit = BETA*target*virus\n"
        "d/dt(target) = -hit\nd/dt(latent) = hit - K*latent\n"
        "d/dt(sick) = K*latent - DELTA*sick\nd/dt(virus) = RHO*sick - C*virus\n"
        "init(target) = T0\ninit(virus) = V0",
        ("target", "latent", "sick", "virus"),
        {
            "RNOT": (2.0, 20.0),
            "C": (0.1, 1.0),
            "DELTA": (0.01, 0.1),
            "RHO": (1.0, 1000.0),
            "K": (0.05, 0.5),
            "T0": (1e5, 1e8),
            "V0": (0.1, 100.0),
        },
        cells,
        lambda p: [p["T0"], 0.0, 0.0, p["V0"]],
        into={"virus": (1.0, 1000.0)},
        horizon=480.0,
    ),
    Family(
        "a vessel that drains",
        "d/dt(x) = -K*x^HILL\ninit(x) = START",
        ("x",),
        {"K": (0.01, 2.0), "HILL": (0.2, 0.95, "even"), "START": (0.5, 50.0)},
        draining,
        lambda p: [p["START"]],
        into={"x": (0.5, 50.0)},
    ),
    Family(
        "killing by a root of the drug",
        "conc = central/V\nd/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - CL/V*central\n"
        "lost = KILL*conc^HILL*alive\n"
        "d/dt(alive) = KG*alive*(1 - alive/100) - lost\n"
        "d/dt(dead) = lost - 0.1*dead\ninit(alive) = START",
        ("depot", "central", "alive", "dead"),
        PK
        | {
            "KA": (0.05, 4.0),
            "KG": (0.005, 0.1),
            "KILL": (0.001, 0.05),
            "HILL": (0.3, 1.0),
            "START": (1.0, 80.0),
        },
        rooted,
        lambda p: [0.0, 0.0, p["START"], 0.0],
        into={"depot": AMOUNTS, "central": AMOUNTS},
    ),
    Family(
        "a flame",
        "FAST = 1/(SMALL*WHEN)\nd/dt(y) = FAST*y^2*(1 - y)\ninit(y) = SMALL",
        ("y",),
        {"SMALL": (1e-4, 1e-2), "WHEN": (20.0, 150.0)},
        flame,
        lambda p: [p["SMALL"]],
        stiff=True,
    ),
    Family(
        "stiff only later",
        "d/dt(held) = grown*(BASE + cos(t/4) - held)\n"
        "d/dt(grown) = G*grown*(1 - grown/TOP)\ninit(grown) = 1",
        ("held", "grown"),
        {"G": (0.1, 0.3), "TOP": (1e2, 1e6), "BASE": (1.0, 10.0)},
        held_later,
        lambda _: [0.0, 1.0],
        into={"held": (0.1, 10.0)},
        stiff=True,
    ),
    Family(
        "a receptor bound at once",
        ONE + "bound = KON*conc*free\nd/dt(free) = KDEG*(R0 - free) - bound\n"
        "d/dt(taken) = bound - KDEG*taken\ninit(free) = R0",
        ("central", "free", "taken"),
        PK | {"KON": (0.01, 1000.0), "KDEG": (0.005, 0.5), "R0": (0.1, 50.0)},
        captured,
        lambda p: [0.0, p["R0"], 0.0],
        into={"central": AMOUNTS},
        stiff=True,
    ),
    Family(
        "clearance that is induced",
        "conc = central/V\nd/dt(central) = -CL*enzyme*conc\n"
        f"d/dt(enzyme) = KENZ*(1 + {EMAX_TEXT} - enzyme)\ninit(enzyme) = 1",
        ("central", "enzyme"),
        PK | {"KENZ": (0.005, 0.1), "EMAX": (0.5, 10.0), "EC50": (0.02, 20.0)},
        induction,
        lambda _: [0.0, 1.0],
        into={"central": AMOUNTS},
    ),
    Family(
        "target in balance",
        "conc = whole/V\nmore = conc - target - KSS\n"
        "free = 0.5*(more + sqrt(more^2 + 4*KSS*conc))\n"
        "bound = target*free/(KSS + free)\n"
        "d/dt(whole) = -CL*free - KINT*bound*V\n"
        "d/dt(target) = KDEG*(R0 - target) - (KINT - KDEG)*bound\n"
        "init(target) = R0",
        ("whole", "target"),
        {
            "CL": (0.003, 0.1),
            "V": (2.0, 6.0),
            "KSS": (0.01, 10.0),
            "KDEG": (0.005, 0.5),
            "KINT": (0.005, 0.5),
            "R0": (0.1, 50.0),
        },
        quasi_steady,
        lambda p: [0.0, p["R0"]],
        into={"whole": (0.3, 1000.0)},
        horizon=672.0,
    ),
    Family(
        "a pool that runs empty",
        ONE + f"freed = KS*(1 + {EMAX_TEXT})*pool\nd/dt(pool) = KIN - freed\n"
        "d/dt(response) = freed - KOUT*response\n"
        "init(pool) = KIN/KS\ninit(response) = KIN/KOUT",
        ("central", "pool", "response"),
        PK
        | {
            "KIN": (0.1, 50.0),
            "KS": (0.01, 1.0),
            "KOUT": (0.05, 2.0),
            "EMAX": (0.5, 20.0),
            "EC50": (0.02, 20.0),
        },
        tolerance,
        lambda p: [0.0, p["KIN"] / p["KS"], p["KIN"] / p["KOUT"]],
        into={"central": AMOUNTS},
    ),
    Family(
        "a chemical clock",
        "made = x^2*z\nd/dt(x) = K*(A + made - (B + 1)*x)\n"
        "d/dt(z) = K*(B*x - made)\ninit(x) = X0\ninit(z) = Z0",
        ("x", "z"),
        {
            "A": (0.5, 2.0),
            "B": (0.5, 4.0),
            "K": (0.2, 1.0),
            "X0": (0.1, 3.0),
            "Z0": (0.1, 3.0),
        },
        brusselator,
        lambda p: [p["X0"], p["Z0"]],
        into={"x": (0.1, 2.0)},
        horizon=60.0,
    ),
    Family(
        "a pendulum that is pushed",
        "d/dt(angle) = speed\n"
        "d/dt(speed) = -STIFF*sin(angle) - FRICTION*speed\ninit(angle) = A0",
        ("angle", "speed"),
        {"STIFF": (0.1, 4.0), "FRICTION": (0.01, 0.5), "A0": (-3.0, 3.0, "even")},
        pendulum,
        lambda p: [p["A0"], 0.0],
        into={"speed": (0.05, 0.5)},
        horizon=40.0,
    ),
    Family(
        "Roessler",
        "d/dt(x) = -z - w\nd/dt(z) = x + A*z\nd/dt(w) = B + w*(x - C)\n"
        "init(x) = X0\ninit(z) = Z0",
        ("x", "z", "w"),
        {
            "A": (0.1, 0.2),
            "B": (0.1, 0.3),
            "C": (4.0, 9.0),
            "X0": (-5.0, 5.0, "even"),
            "Z0": (-5.0, 5.0, "even"),
        },
        rossler,
        lambda p: [p["X0"], p["Z0"], 0.0],
        into={"w": (0.1, 1.0)},
        kinds=("bolus",),
        horizon=25.0,
    ),
    Family(
        "a nerve cell",
        "d/dt(v) = v - v^3/3 - w + CURRENT\n"
        "d/dt(w) = SLOW*(v + 0.7 - 0.8*w)\ninit(v) = -1.2\ninit(w) = -0.6",
        ("v", "w"),
        {"CURRENT": (0.01, 1.2), "SLOW": (0.02, 0.2)},
        neuron,
        lambda _: [-1.2, -0.6],
        into={"v": (0.2, 2.0)},
        kinds=("bolus",),
        horizon=120.0,
    ),
    Family(
        "glucose after meals",
        "d/dt(gut) = -KA*gut\n"
        "d/dt(sugar) = KA*gut/15 - (SG + action)*sugar + SG*GB\n"
        "d/dt(action) = -P2*action + P2*SI*insulin\n"
        "d/dt(insulin) = GAMMA*max(sugar - GB, 0) - N*insulin\ninit(sugar) = GB",
        ("gut", "sugar", "action", "insulin"),
        {
            "KA": (0.5, 3.0),
            "SG": (0.5, 2.0),
            "SI": (5e-4, 2e-2),
            "P2": (0.5, 3.0),
            "GB": (80.0, 100.0),
            "N": (3.0, 15.0),
            "GAMMA": (0.5, 5.0),
        },
        glucose,
        lambda p: [0.0, p["GB"], 0.0, 0.0],
        into={"gut": (100.0, 1000.0)},
        horizon=72.0,
    ),
)
