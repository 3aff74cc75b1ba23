"""The command that matches people to targets."""

from pathlib import Path
from typing import Annotated, Any

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_table, say, warn, write_csv

SMALL = 0.1  # share of the pool below which the weights say little
FEW = 100

matches = typer.Typer()


@matches.command(
    epilog="Example: `vtrial match adults --to registry.yaml --out people.csv`"
)
def match(
    source: Annotated[
        str, typer.Argument(help="A cohort sheet, a shipped name, or a run's folder.")
    ],
    to: Annotated[Path, typer.Option(help="The sheet of targets.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Who was chosen (CSV); a cohort sheet beside it."),
    ] = None,
    subjects: Annotated[int, typer.Option(help="How many are chosen.")] = 1000,
    pool: Annotated[
        int, typer.Option(help="People of a cohort to choose from.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the pool, and of the choice.")] = 0,
    model: Annotated[
        str, typer.Option(help="Of a cohort: with this model's random effects.")
    ] = "",
    under: Annotated[
        str, typer.Option(help="Of a run: the arm whose outcomes count.")
    ] = "",
    weights: Annotated[
        Path | None, typer.Option(help="The pool with everybody's weight (CSV).")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw pool, matched and wanted: SVG or PNG.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts.")
    ] = False,
) -> None:
    """Choose people of whom published numbers hold: means, shares, survival."""
    found = vt.jobs.match_people(
        source,
        to,
        subjects=subjects,
        pool=pool,
        seed=seed,
        model=model or None,
        under=under,
    )
    size = len(found.weights)
    title = f"{subjects:,} of {size:,} people of {Path(source).name}, by {to.stem}"
    told = _written(found, title, out, weights, figure)
    if as_json:
        names = ("effective", "divergence", "most", "lost", "repeated")
        numbers = {name: getattr(found, name) for name in names}
        rows = found.table.to_dict("records")
        print_json({"pool": size, "subjects": subjects, **numbers, "targets": rows})
    else:
        print_table(found.words, title=title)
        say(
            f"Effective sample size (Kish): {found.effective:,.0f} of {size:,}. "
            f"Divergence from even weights: {found.divergence:.3g} nats."
        )
        for line in told:
            say(line)
    _doubt(found, size)


def _written(
    found: Any,
    title: str,
    out: Path | None,
    weights: Path | None,
    figure: Path | None,
) -> list[str]:
    """Write the files that are asked for; say what each is."""
    told = []
    if out is not None:
        sheet = vt.jobs.write_people(found.people, out, title=title)
        told.append(f"{out}: {title}. Their units, and a cohort of them: {sheet}")
    if weights is not None:
        write_csv(found.weights, weights)
        told.append(f"{weights}: {len(found.weights):,} people, with their weights.")
    if figure is not None:
        vt.report.draw("match", figure, found.sights, found.table)
        told.append(f"{figure}: written.")
    return told


def _doubt(found: Any, size: int) -> None:
    """Warn of a few people who stand for all, and of those left out."""
    if found.lost:
        warn(f"{found.lost:,} people whose outcomes are not known were left out.")
    if found.effective < max(SMALL * size, FEW):
        warn(
            f"The weights rest on {found.effective:,.0f} people's worth of {size:,}: "
            "who is wanted is rare here. A cohort nearer to the targets does better."
        )
    if found.repeated:
        warn(
            f"{found.repeated:,} people were chosen more than once, one of them "
            f"{found.most} times. A larger --pool, or fewer --subjects, avoids it."
        )
