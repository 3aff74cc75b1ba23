"""Compare vtrial with other software on five workloads: speed, accuracy, compilation.

`python -m benchmarks.peers [--quick] [--workloads W1 W2] [--solvers vtrial scipy]
[--subjects N] [--out FILE]` prints ratios of subjects per CPU-second on one core, and
writes everything as JSON. All solve to the same tolerance, and each one's error against
accurate solutions stands beside its speed. A peer that is not installed is left out;
`make .venv/bench` installs them.

Ratios are what travels from machine to machine, and only roughly.
"""

import argparse
import datetime
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Request, compile_times, measured_apart
from benchmarks.solvers import SOLVERS, version_of
from benchmarks.workloads import WORKLOADS, model_of, read_reference

RESULTS = Path(__file__).parent / "results"
LOOSER = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6)  # the first that keeps the bound is taken
BOUND = 1e-5
EXACT = ("closed form", "matrix exponential")
# Subjects per CPU-second of one core of one machine that had all of these: CPU time,
# median of three or more after a warm-up, rtol 1e-6 and atol 1e-8. As numbalsoda and
# mrgsolve are both LSODA and compiled, a ratio to numbalsoda here gives one to mrgsolve
# 2.0 and rxode2 5.1, R packages that pip cannot install.
ELSEWHERE = {
    "numbalsoda": {"W1": 6203, "W2": 2581, "W3": 2079, "W4": 2913, "W5": 165},
    "mrgsolve": {"W1": 7087, "W2": 2779, "W3": 2336, "W4": 3306, "W5": 184},
    "mrgsolve, closed form": {"W1": 30303},
    "rxode2": {"W1": 4070, "W2": 1395, "W3": 1340, "W4": 2370, "W5": 105},
    "rxode2, closed form": {"W1": 14286},
}
Answer = dict[str, Any]
Answers = dict[str, Answer]


class Way(NamedTuple):
    """How to measure: by which function, and whether only roughly."""

    measured: Callable[[Request], Answer] = measured_apart
    quick: bool = False


def compare(
    workloads: Iterable[str],
    solvers: Iterable[str],
    *,
    subjects: int = 0,
    way: Way = Way(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Measure solvers on workloads; return everything as JSON takes it."""
    workloads, solvers = list(workloads), list(solvers)
    missing = [s for s in solvers if not version_of(s)]
    for solver in missing:
        _say(f"{solver} is not installed and left out (make .venv/bench)")
    rows: dict[str, Answers] = {}
    for name in workloads:
        most = subjects or WORKLOADS[name].subjects
        base = Request("vtrial", name, most, cores=(_cores()[0],))
        base = replace(base, seconds=0.5) if way.quick else base
        rows[name] = {}
        for solver in solvers:
            if solver not in missing:
                asked = replace(base, solver=solver)
                rows[name] |= _MEASURES.get(solver, _peer)(asked, way)
    derive(rows)
    return {"machine": machine(solvers), "quick": way.quick, "rows": rows}


def _peer(request: Request, way: Way) -> Answers:
    """Measure a solver that has nothing to choose."""
    return {request.solver: _told(request.solver, request, way)}


def _diffrax(request: Request, way: Way) -> Answers:
    """Measure the best chunk of each of two methods; few subjects show the speed."""
    found = {}
    for method in ("Tsit5", "Kvaerno5"):
        label, chunks = f"diffrax {method}", (64,) if way.quick else (16, 64, 256)
        answers = []
        for chunk in chunks:
            size = min(request.subjects, chunk)
            asked = replace(request, method=method, chunk=size, pilot=size)
            answers.append(
                _told(f"{label}, chunk {size}", asked, way) | {"chunk": size}
            )
        found[label] = max(answers, key=lambda answer: answer.get("rate", 0.0))
    return found


def _vtrial(request: Request, way: Way) -> Answers:
    """Measure vtrial: at the common tolerance, at the loosest good one, in 32 bits."""
    wide = replace(request, pilot=min(256, request.subjects))
    found = {"vtrial": _told("vtrial", wide, way)}
    found["vtrial"]["method"] = method_of(request.workload)
    if found["vtrial"]["method"] not in EXACT:
        loose = _loosest(wide, way)
        found["vtrial, loosest"] = _told(
            f"vtrial, rtol {loose:g}", replace(wide, rtol=loose, atol=loose / 100), way
        ) | {"rtol": loose}
    single = replace(wide, bits=32, rtol=1e-5, atol=1e-7)
    found["vtrial, 32 bits"] = _told("vtrial, 32 bits", single, way)
    if not way.quick:
        found["vtrial"] |= compile_times(wide)
        found["vtrial"]["scaling"] = _scaling(
            replace(wide, subjects=found["vtrial"].get("subjects", 1)), way
        )
    return found


_MEASURES = {"vtrial": _vtrial, "diffrax": _diffrax}


def _loosest(request: Request, way: Way) -> float:
    """Return the loosest relative tolerance that keeps the bound on the error."""
    few = replace(request, task="error", pilot=24)
    for rtol in LOOSER[:-1]:
        answer = way.measured(replace(few, rtol=rtol, atol=rtol / 100))
        if _error(answer) < BOUND:
            return rtol
    return LOOSER[-1]


def _scaling(request: Request, way: Way) -> dict[str, float]:
    """Compare all cores with one, by the clock on the wall, with all the subjects."""
    cores, asked = tuple(_cores()), replace(request, seconds=math.inf)
    both = [way.measured(replace(asked, cores=part)) for part in (cores[:1], cores)]
    rates = [answer.get("wall_rate", math.nan) for answer in both]
    return {"cores": len(cores), "speedup": rates[1] / rates[0]}


def _told(label: str, request: Request, way: Way) -> Answer:
    """Measure, and say what came of it."""
    answer = way.measured(request)
    if "failure" in answer:
        _say(f"{request.workload}, {label}: {answer['failure']}")
    else:
        words = f"{answer['rate']:,.0f} subjects per CPU-second"
        _say(f"{request.workload}, {label}: {words}, error {_error(answer):.1e}")
    return answer


def method_of(name: str) -> str:
    """Return how vtrial solves a workload."""
    from vtrial.solver.choice import choose
    from vtrial.types import Numerics

    return choose(model_of(name), Numerics()).method or "algebra"


def derive(rows: dict[str, Answers]) -> None:
    """Add what software that is not here would do, by its ratio to numbalsoda."""
    for name, answers in rows.items():
        here = answers.get("numbalsoda", {}).get("rate")
        known = name.split("-")[0]
        for peer, rates in ELSEWHERE.items():
            if here and peer != "numbalsoda" and known in rates:
                ratio = rates[known] / ELSEWHERE["numbalsoda"][known]
                answers[f"{peer} (derived)"] = {"rate": ratio * here, "derived": True}


def machine(solvers: Iterable[str]) -> dict[str, Any]:
    """Describe the machine, its software, and what was compared with."""
    from vtrial.xla_flags import describe_compiler

    found = {solver: version_of(solver) for solver in solvers}
    found |= {name: version_of(name) for name in ("jax", "jaxlib", "numpy", "numba")}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name, version in found.items() if version},
        "compiler": describe_compiler(),
        "subjects checked": len(next(iter(read_reference("W1").values.values()))),
    }


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            li.partition(": ")[2] for li in lines if li.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()


def table(rows: dict[str, Answers]) -> str:
    """Write how many times as many subjects vtrial solves, by peer and workload."""
    names = list(rows)
    found = dict.fromkeys(peer for answers in rows.values() for peer in answers)
    peers = sorted(found, key=lambda peer: not peer.startswith("vtrial"))
    lines = ["vtrial's subjects per CPU-second to each one's [largest error of each]"]
    lines.append(_line("", names))
    for peer in peers:
        lines.append(_line(peer, [_cell(rows[name], peer) for name in names]))
    lines += ["", "compiling, CPU seconds"]
    for peer in (peer for peer in peers if "derived" not in peer):
        cells = [_or_dash(_compiling, rows[name].get(peer, {})) for name in names]
        lines.append(_line(peer, cells))
    lines += ["", "vtrial"]
    for label, write in _OWN.items():
        cells = [_or_dash(write, rows[name].get("vtrial", {})) for name in names]
        lines.append(_line(label, cells))
    loose = [_or_dash(lambda a: f"{a['rtol']:g}", _loose(rows[n])) for n in names]
    lines.append(_line("loosest rtol that keeps 1e-5", loose))
    return "\n".join(lines)


_OWN = {
    "method": lambda answer: answer["method"],
    "subjects": lambda answer: f"{answer['subjects']:,}",
    "subjects per CPU-second": lambda answer: f"{answer['rate']:,.0f}",
    "compiling, from a cache": lambda answer: f"{answer['compile_cached']:.1f}",
    "all cores to one, wall": lambda answer: (
        f"{answer['scaling']['speedup']:.2f} of {answer['scaling']['cores']}"
    ),
}


def _compiling(answer: Answer) -> str:
    return f"{answer['first_cpu']:.2f}"


def _loose(answers: Answers) -> dict[str, Any]:
    return answers.get("vtrial, loosest", {})


def _or_dash(write: Any, answer: dict[str, Any]) -> str:
    try:
        return write(answer)
    except KeyError:
        return "-"


def _cell(answers: Answers, peer: str) -> str:
    """Write a ratio to vtrial, and the error."""
    answer, own = answers.get(peer, {}), answers.get("vtrial", {})
    if "rate" not in answer:
        return "failed" if "failure" in answer else "-"
    if not own.get("rate"):
        return f"{answer['rate']:,.0f}/s [{_error(answer):.0e}]"
    ratio = own["rate"] / answer["rate"]
    word = f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"
    return word if "derived" in answer else f"{word} [{_error(answer):.0e}]"


def _error(answer: dict[str, Any]) -> float:
    return max(answer.get("errors", {"": math.nan}).values())


def _line(label: str, cells: list[str]) -> str:
    return f"{label:<32}" + "".join(f" {cell:>18}" for cell in cells)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, compare, print, and write."""
    parser = argparse.ArgumentParser(description="Compare vtrial with other software.")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS))
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS))
    parser.add_argument("--subjects", type=int, default=0, help="at most so many")
    parser.add_argument("--quick", action="store_true", help="short and rough")
    parser.add_argument("--out", type=Path, help="JSON; by default in results/")
    given = parser.parse_args(arguments)
    found = compare(
        given.workloads,
        given.solvers,
        subjects=given.subjects,
        way=Way(quick=given.quick),
    )
    out = given.out or RESULTS / f"peers-{found['machine']['date']}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found["rows"]))
    print(
        f"\n{found['machine']['processor']}, {found['machine']['cores']} cores; {out}"
    )


if __name__ == "__main__":
    main()
