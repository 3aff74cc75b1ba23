"""How long a posterior takes, beside NumPyro and diffrax as their users write it.

`python -m benchmarks.fitting [--draws N] [--warmup N] [--chains N] [--out FILE]` draws
from the posterior of theophylline in twelve people by the same sampler: once by
`vtrial fit --method nuts`, and once by a NumPyro program of the same priors, in the
non-centred form, whose courses are of diffrax under `vmap`. Each is drawn twice in a
process of its own, with nothing on disk: the first time compiles. vtrial's seconds hold
all that a fit does, with the search that it starts by and the likelihoods at its end;
the other's are of the sampler alone. Both are compiled as vtrial has it.

Draws are worth what their autocorrelation leaves of them, so that seconds for a hundred
effective draws, of the parameter that has fewest, stand beside seconds. That both draw
from one distribution is told by means: the difference of the farthest, in errors of
Monte Carlo.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import timed
from benchmarks.peers import machine

MODEL, TABLE = "theophylline", "theophylline-single-dose.csv"
RTOL, ATOL, STEPS = 1e-6, 1e-8, 4096  # of diffrax; vtrial has a closed form here
FITTERS = ("vtrial", "numpyro and diffrax")
RUNS = ("with compilation", "compiled")
Draws = np.ndarray  # (chain, draw, estimate), on the scale of logarithms


def study() -> Any:
    """Return the twelve people: a row a value, with the dose of its person [mg]."""
    import pandas as pd

    from vtrial.sheets.find import shipped

    return pd.read_csv(shipped("protocols") / TABLE)


def table_of(folder: Path) -> Path:
    """Write the study in NONMEM's format, and return where."""
    import pandas as pd

    seen, path = study(), folder / "study.csv"
    doses = seen.drop_duplicates("ID").assign(TIME=0.0, DV=".", EVID=1)
    doses = doses.rename(columns={"DOSE_MG": "AMT"})
    rows = pd.concat([doses, seen.assign(AMT=".", EVID=0)])
    rows = rows.sort_values(["ID", "TIME", "EVID"], ascending=[True, True, False])
    rows[["ID", "TIME", "AMT", "EVID", "DV"]].to_csv(path, index=False)
    return path


def vtrial_fitter(how: dict[str, Any]) -> Callable[[int], Draws]:
    """Return what fits by vtrial, given a seed."""
    from vtrial.fit.calibration import calibrate

    path = table_of(Path(tempfile.mkdtemp()))

    def fit(seed: int) -> Draws:
        found = calibrate(MODEL, path, method="nuts", seed=seed, **how)
        if found.draws is None:
            raise RuntimeError("NUTS drew nothing")
        return found.draws.reshape(how["chains"], how["draws"], -1)

    return fit


class Plain(NamedTuple):
    """A NumPyro program, and what it begins at."""

    program: Callable[[], None]
    begin: dict[str, Any]


def plain_program() -> Plain:
    """Return the model as users of NumPyro and diffrax write it.

    Priors are those of `vtrial.fit.prior` for this sheet.
    """
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    import vtrial as vt

    numpyro.enable_x64()
    sheet, seen = vt.load_model(MODEL), study()
    middle = np.log([one.value for one in sheet.parameters])
    known = np.array([one.error / one.value for one in sheet.parameters])
    spread = 0.5 * np.log([block.covariance[0][0] for block in sheet.random])
    size = np.log(sheet.outputs[0].error.additive)
    people = [part for _, part in seen.groupby("ID")]
    times = jnp.array([part["TIME"].to_numpy(float) for part in people])
    values = jnp.array([part["DV"].to_numpy(float) for part in people])
    amounts = jnp.array([float(part["DOSE_MG"].iloc[0]) for part in people])

    def program() -> None:
        typical = numpyro.sample("typical", dist.Normal(middle, known).to_event(1))
        wide = numpyro.sample("spread", dist.Normal(spread, 1.0).to_event(1))
        error = numpyro.sample("size", dist.Normal(size, 1.0))
        with numpyro.plate("subjects", len(people)):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        rates = jnp.exp(typical + jnp.exp(wide) * z)
        seen = jax.vmap(course)(rates, amounts, times)
        with numpyro.plate("subjects", len(people)):
            law = dist.Normal(seen, jnp.exp(error)).to_event(1)
            numpyro.sample("DV", law, obs=values)

    begin = {"typical": middle, "spread": spread, "size": size}
    return Plain(program, begin | {"z": np.zeros((len(people), len(middle)))})


def course(rates: Any, amount: Any, when: Any) -> Any:
    """Solve one person's concentrations by diffrax [mg/L]."""
    import diffrax
    import jax.numpy as jnp

    def slope(_: Any, state: Any, rates: Any) -> Any:
        absorbed, cleared, volume = rates[0] * state[0], rates[1], rates[2]
        return jnp.stack([-absorbed, absorbed - cleared / volume * state[1]])

    found = diffrax.diffeqsolve(
        diffrax.ODETerm(slope),
        diffrax.Tsit5(),
        0.0,
        when[-1],
        None,
        jnp.stack([amount, jnp.zeros_like(amount)]),
        rates,
        saveat=diffrax.SaveAt(ts=when),
        stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL),
        max_steps=STEPS,
        throw=False,  # a proposal that cannot be solved is one to reject
    ).ys
    return found[:, 1] / rates[2]  # pyright: ignore[reportOptionalSubscript]


def plain_fitter(how: dict[str, Any]) -> Callable[[int], Draws]:
    """Return what fits by NumPyro and diffrax, given a seed."""
    import jax
    from numpyro.infer import MCMC, NUTS, init_to_value

    program, begin = plain_program()
    chains = MCMC(
        NUTS(program, init_strategy=init_to_value(values=begin)),
        num_warmup=how["warmup"],
        num_samples=how["draws"],
        num_chains=how["chains"],
        chain_method="vectorized",
        progress_bar=False,
    )

    def fit(seed: int) -> Draws:
        chains.run(jax.random.key(seed))
        held = chains.get_samples(group_by_chain=True)
        parts = [held["typical"], held["spread"], held["size"][..., None]]
        return np.concatenate([np.asarray(part) for part in parts], axis=-1)

    return fit


def measure(fitter: str, how: dict[str, Any]) -> dict[str, Any]:
    """Draw twice in this process; return seconds, and what draws are worth."""
    import vtrial  # noqa: F401 (before JAX starts: it sets the compiler)

    made = vtrial_fitter if fitter == FITTERS[0] else plain_fitter
    fit = made(how)
    (_, first), (draws, second) = timed(lambda: fit(1)), timed(lambda: fit(2))
    from numpyro.diagnostics import effective_sample_size

    worth = effective_sample_size(draws)
    return {
        **dict(zip(RUNS, (first, second), strict=True)),
        "effective": float(worth.min()),
        "mean": draws.mean(axis=(0, 1)).tolist(),
        "error": (draws.std(axis=(0, 1)) / np.sqrt(worth)).tolist(),
    }


def measured_apart(fitter: str, how: dict[str, Any]) -> dict[str, Any]:
    """Measure in a new process, without compiled code on disk."""
    off = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fitting", "--only", fitter, *words(how)],
            env=os.environ | off | {"XDG_CACHE_HOME": cache, "TMPDIR": cache},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def words(how: dict[str, Any]) -> list[str]:
    """Write numbers as options."""
    return [text for name, number in how.items() for text in (f"--{name}", f"{number}")]


def derive(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return ratios, plain to vtrial, and how far the means are apart [errors]."""
    ours, theirs = (rows[name] for name in FITTERS)
    found: dict[str, Any] = {
        f"{run}, {clock}": theirs[run][clock] / ours[run][clock]
        for run in RUNS
        for clock in ("wall", "cpu")
    }
    costs = [row[RUNS[1]]["cpu"] / row["effective"] for row in (ours, theirs)]
    found["cpu of an effective draw"] = costs[1] / costs[0]
    gap = np.subtract(ours["mean"], theirs["mean"])
    found["means apart"] = float(
        np.abs(gap / np.hypot(ours["error"], theirs["error"])).max()
    )
    return found


def show(rows: dict[str, dict[str, Any]], ratios: dict[str, Any]) -> None:
    """Print the table."""
    head = [f"{run}, {clock} [s]" for run in RUNS for clock in ("wall", "CPU")]
    head += ["effective draws", "CPU [s] for 100 of them"]
    print("| | " + " | ".join(head) + " |")
    print("|---" * (len(head) + 1) + "|")
    for name, row in rows.items():
        cells = [row[run][clock] for run in RUNS for clock in ("wall", "cpu")]
        cells += [row["effective"], 100 * row[RUNS[1]]["cpu"] / row["effective"]]
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")
    for name, ratio in ratios.items():
        said = "in their errors" if name == "means apart" else "times vtrial's"
        print(f"{name}: {ratio:.2f} {said}")


def main() -> None:
    """Fit by both and print the table."""
    parser = argparse.ArgumentParser(description="Time a posterior.")
    parser.add_argument("--draws", type=int, default=100, help="of a chain")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--chains", type=int, default=2, help="side by side")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--only", choices=FITTERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    how = {name: getattr(asked, name) for name in ("draws", "warmup", "chains")}
    if asked.only:
        print(json.dumps(measure(asked.only, how)))
        return
    rows = {name: measured_apart(name, how) for name in FITTERS}
    ratios = derive(rows)
    show(rows, ratios)
    if asked.out:
        told = machine(["vtrial", "numpyro", "diffrax"])
        found = {"machine": told, "asked": how, "rows": rows, "ratios": ratios}
        asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
