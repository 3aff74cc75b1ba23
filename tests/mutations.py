"""Faults put in on purpose, and the tests that see them: `python -m tests.mutations`.

Each is put into a temporary copy of the tree, never in place, and the test that is
named is run there. Words behind the command choose mutations by a part of their names.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PARTS = ("vtrial", "tests", "protocols", "cohorts", "pyproject.toml")
FAILED = 1  # pytest's exit code where tests ran and one failed
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


class Mutation(NamedTuple):
    """A fault: `new` stands where `old` did, once, in a file; `test` must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        "no curved state goes below zero",
        "vtrial/solver/adaptive.py",
        "return tuple(i for i in self._curved if self.model.states[i] in kept)",
        "return self._curved",
        "cases/test_states_that_cross_zero.py::test_states_that_cross_zero",
    ),
    Mutation(
        "infusions do not end",
        "vtrial/solver/events.py",
        "ends = jnp.where(back > 0, periodic & (same(end) > now), gives)",
        "ends = jnp.where(back > 0, periodic & (same(end) > now), False)",
        "jobs/test_event_predictions.py::test_infusion_duration_column",
    ),
    Mutation(
        "labels of categories are swapped",
        "vtrial/cohort/category.py",
        'Marginal("categorical", values=tuple(values),',
        'Marginal("categorical", values=tuple(values[::-1]),',
        "cohort/test_marginal.py::test_categories_have_their_shares",
    ),
    Mutation(
        "switches of the clock are not located",
        "vtrial/solver/switch.py",
        "ahead = jnp.minimum(ahead, jnp.broadcast_to(found, later.shape))",
        "del found",
        "cases/test_pump_by_clock.py::test_pump_by_clock",
    ),
    Mutation(
        "an absolute tolerance fits all sizes",
        "vtrial/solver/scale.py",
        "usual = numerics.atol * jnp.minimum(size, 1.0)",
        "usual = numerics.atol * jnp.ones_like(size)",
        "cases/test_tiny_amounts.py::test_tiny_amounts",
    ),
    Mutation(
        "time after dose at steady state counts from the next dose",
        "vtrial/solver/steady.py",
        "record = phase - jnp.where(starts < phase, interval, 0.0)",
        "record = phase - jnp.where(starts < phase, 0.0, 0.0 * interval)",
        "cases/test_steady_state_tad.py::test_steady_state_tad",
    ),
    Mutation(
        "overlaps of a steady state are left out",
        "vtrial/solver/events.py",
        "return begins, finishes, still.astype(int)",
        "return begins, finishes, 0 * still.astype(int)",
        "cases/test_steady_state_not_finite.py::test_steady_state_not_finite",
    ),
    Mutation(
        "what rounding leaves of infusions runs on",
        "vtrial/solver/scan.py",
        "jnp.where(count > 0, r, 0.0)",
        "jnp.where(count > -1, r, 0.0)",
        "solver/test_infusions.py::test_nothing_runs_when_all_infusions_have_ended",
    ),
    Mutation(
        "no step ends at a crest of what drives",
        "vtrial/model/jumps.py",
        "for line in dict.fromkeys(_lines_within(value)):",
        "for line in ():",
        "solver/test_drives.py"
        "::test_a_pulse_far_from_all_times_that_are_asked_for_is_seen",
    ),
    Mutation(
        "what drives is not looked at within a step",
        "vtrial/solver/drives.py",
        "error = jnp.maximum(error, jnp.where(gross, scaled(missed), 0.0))",
        "del missed, gross",
        "solver/test_drives.py::test_a_rise_and_fall_without_a_crest_is_seen",
    ),
    Mutation(
        "what has left a body is what rounding leaves of 1",
        "vtrial/solver/forcing.py",
        "values = [time * mean_of_decay(width, decay), decay]",
        "values = [time * mean_of_decay(width, decay), 1 + (decay - 1)]",
        "solver/test_forcing.py"
        "::test_what_has_left_is_next_to_nothing_where_infusions_may_run",
    ),
    Mutation(
        "the richest subject decides how all are looked at",
        "vtrial/solver/host.py",
        "if rich.all() or not rich.any():",
        "if True:",
        "solver/test_window.py::test_no_company_changes_how_a_subject_is_looked_at",
    ),
    Mutation(
        "the grid has no time at switches of the clock",
        "vtrial/protocol/knots.py",
        "until=until, most=MOST_SWITCHES)",
        "until=until, most=0)",
        "cases/test_pump_by_clock.py::test_peaks_of_pump_by_clock",
    ),
    Mutation(
        "the median is where the curve reaches one half",
        "vtrial/measure/survival.py",
        "return (reached + passed) / 2",
        "return reached",
        "measure/test_statistic.py"
        "::test_a_median_is_the_middle_of_a_curve_that_lies_on_one_half",
    ),
    Mutation(
        "a visit at the start of an occasion belongs to the one before",
        "vtrial/observe/observation_times.py",
        "time[:, :, None] + INSTANT >= starts",
        "time[:, :, None] - INSTANT >= starts",
        "observe/test_observation_times.py::test_visits_at_occasions",
    ),
    Mutation(
        "files of a record are not held against their fingerprints",
        "vtrial/store/check.py",
        "if found == sum_:",
        "if found:",
        "store/test_record.py::test_flipped_byte_is_told",
    ),
    Mutation(
        "a miss is judged without its Monte Carlo error",
        "vtrial/analysis/published.py",
        "limits[1] and limits[0] <= point.high else MISS",
        "value <= point.high else MISS",
        "analysis/test_evaluate.py"
        "::test_a_miss_is_beyond_the_limits_by_more_than_chance",
    ),
    Mutation(
        "subjects of other arms are not counted",
        "vtrial/analysis/gather.py",
        "old.others + int((~inside & (status == Status.SOLVED)).sum()),",
        "old.others,",
        "analysis/test_lost.py"
        "::test_all_subjects_under_an_arm_are_told_beside_those_allocated_to_it",
    ),
)


def main(words: list[str]) -> int:
    """Try the chosen mutations; return how many were not caught."""
    chosen = [m for m in MUTATIONS if not words or any(w in m.name for w in words)]
    if not chosen:
        sys.stderr.write(
            "\n".join(["None is called so:", *(m.name for m in MUTATIONS)])
        )
        return 1
    with TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        sound = tested(tree, *dict.fromkeys(m.test for m in chosen))
        if sound.returncode:
            sys.stderr.write(f"{sound.stdout}\nThis is without any mutation.\n")
            return len(chosen)
        missed = 0
        told("| mutation | test | caught |\n|---|---|---|")
        for mutation in chosen:
            code = tried(tree, mutation)
            missed += code != FAILED
            said = "yes" if code == FAILED else f"no (exit code {code})"
            told(f"| {mutation.name} | `{mutation.test}` | {said} |")
    return missed


def told(line: str) -> None:
    """Write a line at once: the next takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copied(folder: Path) -> Path:
    """Copy what tests need of the tree."""
    leave = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=leave)
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def tried(tree: Path, mutation: Mutation) -> int:
    """Put a mutation in, run its test, take it out; return pytest's exit code."""
    place = tree / mutation.file
    sound = place.read_text(encoding="utf-8")
    place.write_text(mutated(sound, mutation), encoding="utf-8")
    try:
        return tested(tree, mutation.test).returncode
    finally:
        place.write_text(sound, encoding="utf-8")


def mutated(text: str, mutation: Mutation) -> str:
    """Put a mutation into the text of its file."""
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has not once `{mutation.old}`")
    return text.replace(mutation.old, mutation.new)


def tested(tree: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a tree as `make test` does, until one fails."""
    names = [f"tests/{test}" for test in tests]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    place = {"PYTHONPATH": str(tree), "XLA_FLAGS": QUICK}
    how = {"cwd": tree, "env": os.environ | place, "capture_output": True}
    return subprocess.run([*command, *names], text=True, check=False, **how)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
