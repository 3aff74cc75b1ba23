"""The commands of trial designs: what they would do, how large, and at which dose."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

import vtrial as vt
from vtrial.cli.say import open_page, print_json, print_table, say, write_csv

MISSED = 3

designs = typer.Typer()

Protocol = Annotated[str, typer.Argument(help="A protocol sheet, or a shipped name.")]
Trials = Annotated[int | None, typer.Option(min=1, help="How many are enacted.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes on this machine; 0: none, in this one.", min=0),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(
        help="Other values of a key below `design`, or of a parameter: "
        "`looks.interim=30 %, 50 %`, `parameters.CL=4, 5`; several are combined."
    ),
]
Null = Annotated[
    str | None,
    typer.Option(
        help="Bound the type I error where all arms respond at one rate between two: "
        "`10 % to 60 %`."
    ),
]
Points = Annotated[
    int, typer.Option(min=2, help="At how many of these rates it is enacted.")
]
Assurance = Annotated[
    bool,
    typer.Option(
        "--assurance",
        help="Tell the power averaged over uncertain parameters, and its parts.",
    ),
]
Figure = Annotated[
    Path | None, typer.Option(help="Draw that error into an SVG or PNG file.")
]
Table = Annotated[Path | None, typer.Option(help="Write the table as CSV.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Power = Annotated[str, typer.Option(help="The power to reach, such as `90 %`.")]
Comparison = Annotated[
    str, typer.Option(help="Name of the comparison; the first if left out.")
]


@designs.command(
    epilog="Example: `vtrial design docetaxel-adaptive --trials 1000 --grid "
    "'adapt.lean.floor=5 %, 20 %'`"
)
def design(
    protocol: Protocol,
    trials: Trials = None,
    grid: Grid = None,
    workers: Workers = None,
    assurance: Assurance = False,
    null: Null = None,
    points: Points = 33,
    figure: Figure = None,
    table: Table = None,
    as_json: Json = False,
) -> None:
    """Enact a trial's design many times over, from one simulation of its subjects.

    With `--assurance` it is the power averaged over the uncertainty of parameters, and
    how that depends on the true effect. With `--null` nobody is simulated: all arms
    respond at one rate, and the share of trials that claim anything is bounded at every
    rate in between.
    """
    variations = dict(vt.conduct.read_variation(text) for text in grid or ())
    trial = vt.load_protocol(protocol)
    if null is not None:
        if assurance:
            what, write = "given with --null", '--null "10 % to 60 %"'
            raise vt.VtrialError("--assurance", what, "given without it", write)
        if variations:
            what, write = "left out: it asks for other designs", '--null "10 % to 60 %"'
            raise vt.VtrialError("--grid", "given with --null", what, write)
        _bound_error(trial, null, points, trials, (figure, table), as_json=as_json)
        return
    if figure is not None:
        what, write = "given with --null", '--null "10 % to 60 %"'
        raise vt.VtrialError("--figure", "given without --null", what, write)
    found = vt.conduct.design_table(
        trial, variations, assurance=assurance, trials=trials, workers=workers
    )
    if table:
        write_csv(found, table)
    if as_json:
        print_json(found.to_dict("records"))
        return
    print_table(vt.report.enacted_in_words(found), title="Operating characteristics")


def _bound_error(
    trial: "vt.protocol.Protocol",
    null: str,
    points: int,
    trials: int | None,
    files: tuple[Path | None, Path | None],
    *,
    as_json: bool,
) -> None:
    """Bound the type I error over the rates of a null hypothesis, and say it."""
    found = vt.conduct.null_line(trial, null, points=points, trials=trials or 2000)
    figure, table = files
    if figure:
        vt.report.draw("null", figure, found)
    if table:
        write_csv(found, table)
    if as_json:
        print_json(found.to_dict("records"))
        return
    print_table(vt.report.null_in_words(found), title="Type I error")
    worst = found.loc[found["from_here"].idxmax()]
    say(
        f"With 95 % confidence any claim is made in less than "
        f"{100 * worst['from_here']:.2f} % of trials, whatever the rate that all arms "
        f"have between {null.replace(' to ', ' and ')}; the bound is highest at "
        f"{100 * worst['rate']:.1f} %."
    )


@designs.command(epilog="Example: `vtrial size my-trial.yaml --power '90 %'`")
def size(
    protocol: Protocol,
    power: Power = "90 %",
    comparison: Comparison = "",
    trials: Trials = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Find the smallest trial that shows a comparison with a power.

    Subjects are simulated under every arm for it.
    """
    trial = dataclasses.replace(vt.load_protocol(protocol), potential="all")
    record = vt.run(trial, workers=workers)
    found = vt.conduct.size_for(
        record,
        trial,
        power=vt.protocol.share_in(power),
        comparison=comparison,
        trials=trials or 2000,
    )
    if as_json:
        tried = found.tried.to_dict("records")
        print_json(found._asdict() | {"tried": tried})
        return
    print_table(found.tried, title="Sizes that were tried")
    say(
        f"{found.size} subjects: power {100 * found.power:.1f} % (Monte Carlo error "
        f"{100 * found.mc_error:.1f} pp); by the normal approximation {found.guess}."
    )


@designs.command(epilog="Example: `vtrial optimise docetaxel-optimal --open`")
def optimise(
    protocol: Protocol,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; `results/...` if none.")
    ] = None,
    search: Annotated[
        int | None, typer.Option(min=2, help="Subjects of the search.")
    ] = None,
    verify: Annotated[
        int | None, typer.Option(min=2, help="Subjects of the verification.")
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Figures as PNG, too.")] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the values of a sheet's variables that its `optimise` asks for.

    The result is verified on fresh subjects; exits with 3 if none keeps to all limits.
    """
    crowds = {"search": search, "verify": verify}
    found = vt.find_regimen(
        vt.load_protocol(protocol),
        **{name: many for name, many in crowds.items() if many},
    )
    folder = out or Path("results") / f"{found.protocol.name}-{found.digest[:8]}"
    page = vt.report.render_optimum(
        found.protocol, found.frames, folder, words=found.words, by=found.by, png=png
    )
    vt.optimise.write_optimum(found, folder)
    if as_json:
        print_json(found.as_data())
    else:
        print_table(found.verification, title="Verified on fresh subjects")
        say(found.words)
        say(f"Page: {page}")
    if open_:
        open_page(page)
    if not found.holds:
        raise typer.Exit(MISSED)
