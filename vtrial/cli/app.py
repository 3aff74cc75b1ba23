"""The commands, one thought each.

Exit codes: 0 done; 1 the work failed; 2 the request was wrong; 3 a published outcome
was missed (`validate`) or a check failed (`doctor`); 4 a subject could not be solved,
so that numbers leave it out (`validate`); 130 stopped by Ctrl-C.
"""

import sys
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

import vtrial as vt
from vtrial.cli.designs import designs
from vtrial.cli.federated import federated
from vtrial.cli.fits import fits, show_fits
from vtrial.cli.jobs import jobs
from vtrial.cli.matches import matches
from vtrial.cli.monitors import monitors
from vtrial.cli.samplings import samplings
from vtrial.cli.say import open_page, print_json, print_table, say, warn
from vtrial.cli.twins import twins

KINDS = "protocol, model, cohort, match or sampling"
DONE, FAILED, WRONG, MISSED, UNSOLVED, STOPPED = 0, 1, 2, 3, 4, 130

app = typer.Typer(
    name="vtrial",
    help="In-silico clinical trials: a protocol sheet in, estimates and a report out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Protocol = Annotated[str, typer.Argument(help="A protocol sheet, or a shipped name.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the record and report.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes on this machine; 0: none, in this one.", min=0),
]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")]
Change = Annotated[int | None, typer.Option(min=1, help="Instead of the sheet's.")]
Open = Annotated[bool, typer.Option("--open", help="Open the report in a browser.")]
Png = Annotated[bool, typer.Option("--png", help="Write figures as PNG, too.")]


def run_app() -> None:
    """Run the command line and turn errors into words and exit codes."""
    try:
        app(standalone_mode=True)
    except vt.VtrialError as error:
        warn(str(error))
        sys.exit(FAILED if isinstance(error, RuntimeError) else WRONG)
    except OSError as error:
        name = error.filename or "a file"
        warn(f"{name} cannot be read or written ({error.strerror or error}).")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        warn("Stopped. The same command goes on where this one was.")
        sys.exit(STOPPED)


@app.command(epilog="Example: `vtrial new protocol my-trial.yaml`")
def new(
    kind: Annotated[str, typer.Argument(help=KINDS)],
    path: Annotated[Path, typer.Argument(help="Where to write the sheet.")],
) -> None:
    """Write a sheet to start from, with every key explained."""
    template = Path(__file__).parent / "templates" / f"{kind}.yaml"
    if not template.is_file():
        warn(f"kind is {kind}; it must be {KINDS}.")
        raise typer.Exit(WRONG)
    if path.exists():
        warn(f"{path} exists already; nothing was written.")
        raise typer.Exit(WRONG)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = template.read_text().replace("MY-NAME", "-".join(path.stem.split()))
    keys = vt.conduct.reference(kind)  # type: ignore[arg-type] # there is a template
    path.write_text(f"{sheet}\n# Every key of a {kind}, and what it means:\n{keys}\n")
    say(f"{path} written. Next: `vtrial check {path}`")


@app.command(epilog="Example: `vtrial check protocols/docetaxel-dose.yaml`")
def check(
    sheets: Annotated[list[Path], typer.Argument(help="Sheets of any kind.")],
    as_json: Json = False,
) -> None:
    """Check sheets: every fault with its line, what stands there and what to write."""
    faults, results = 0, []
    for sheet in sheets:
        try:
            kind, warnings = vt.conduct.check_sheet(sheet)
        except vt.VtrialError as error:
            faults += len(error.faults)
            results += [{"sheet": str(sheet), **f._asdict()} for f in error.faults]
            if not as_json:
                warn(str(error))
            continue
        results += [{"sheet": str(sheet), "warning": str(w)} for w in warnings]
        if not as_json:
            for warning in warnings:
                say(f"warning: {warning}")
            say(f"{sheet}: a {kind} in order.")
    if as_json:
        print_json({"faults": faults, "entries": results})
    if faults:
        if not as_json:
            warn(f"{faults} fault{'s'[: faults > 1]}; nothing was run.")
        raise typer.Exit(WRONG)


@app.command(epilog="Example: `vtrial plan docetaxel-dose`")
def plan(
    protocol: Protocol,
    subjects: Change = None,
    replicates: Change = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Try a small block, to foretell time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a run would do, without doing it."""
    changes = _changes(subjects=subjects, replicates=replicates)
    plan = vt.plan(vt.load_protocol(protocol, changes=changes))
    found = vt.conduct.measure_run(plan) if measure else None
    if as_json:
        print_json(plan.as_data() | {"measured": found._asdict() if found else None})
        return
    say(plan.words())
    say(
        f"\n{found.words()}"
        if found
        else "\nHow long: `--measure` tries a few subjects."
    )


@app.command(epilog="Example: `vtrial run docetaxel-dose --workers 2 --open`")
def run(
    protocol: Protocol,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    subjects: Change = None,
    replicates: Change = None,
    block: Change = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the sheet's.")] = None,
    restart: Annotated[bool, typer.Option(help="Throw away what is done.")] = False,
    report: Annotated[bool, typer.Option(help="Write the report.")] = True,
    open_: Open = False,
    as_json: Json = False,
) -> None:
    """Run a trial and write its report; the same command continues a stopped run."""
    changes = _changes(subjects=subjects, replicates=replicates, block=block, seed=seed)
    trial = vt.load_protocol(protocol, changes=changes)
    conduct = vt.run
    loading = Thread(target=lambda: (vt.evaluate, vt.render), daemon=True)
    if report:  # its libraries load while the trial is computed
        loading.start()
    record = conduct(
        trial, out=out, workers=workers, scheduler=scheduler, restart=restart
    )
    if trial.enactment is not None:
        vt.enact(record, trial)
    if report:
        loading.join()
    page = _report(record, trial, quiet=as_json) if report else None
    if as_json:
        print_json(
            {"record": str(record.path), "report": page} | _numbers(record, trial)
        )
    if page and open_:
        open_page(page)


@app.command(epilog="Example: `vtrial report results/my-trial-1a2b3c4d --open`")
def report(
    record: Annotated[Path, typer.Argument(help="A run's folder or record.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="An edited sheet to report by: other questions, published or observed "
            "values, limits, words. What was run otherwise is refused."
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--check", help="Read every byte of the record first.")
    ] = False,
    png: Png = False,
    open_: Open = False,
) -> None:
    """Write the report of a finished record anew, by what was run."""
    stored = vt.open_record(record)
    if whole and (torn := stored.check(whole=True)):
        raise stored.torn(torn)
    if protocol:
        trial = vt.conduct.protocol_for(stored, protocol)
    else:
        trial = vt.conduct.protocol_of(stored)
    page = _report(stored, trial, png=png)
    if open_:
        open_page(page)


@app.command(epilog="Example: `vtrial compare results/one results/other --open`")
def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of two runs, or of some fits.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page; beside B if none.")
    ] = None,
    png: Png = False,
    open_: Open = False,
    as_json: Json = False,
) -> None:
    """Lay finished runs, or fits of one study, side by side: the differences as tables.

    Of two runs, A and B, a page is written, too.
    """
    if any((path / "estimates.json").is_file() for path in folders):
        show_fits(folders, as_json=as_json)
        return
    if len(folders) != 2:
        warn(f"{len(folders)} folders; two runs are compared, or two fits and more.")
        raise typer.Exit(WRONG)
    first, second = folders
    runs = [_seen(path) for path in (first, second)]
    heads = [str(run.attributes.get("digest", "")) for run in runs]
    name = "compared-" + "-".join(digest[:8] for digest in heads)
    folder = out or vt.open_record(second).path.parent.parent / name
    page = vt.juxtapose(*runs, folder, png=png)
    if as_json:
        tables = vt.report.differences(*runs)
        data = {name: table.to_dict("records") for name, table in tables.items()}
        print_json(data | {"page": str(page)})
    else:
        for title, table in vt.report.differences_in_words(*runs).items():
            print_table(table, title=title)
        say(f"Comparison: {page}")
    if open_:
        open_page(page)


@app.command(epilog="Example: `vtrial validate protocols/`")
def validate(
    sheets: Annotated[list[Path], typer.Argument(help="Protocols, or folders.")],
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Run protocols and print each published number beside the simulated one.

    Exits with 4 if a subject's equations could not be solved, else with 3 if a
    published number is missed by more than Monte Carlo error.
    """

    def report(record: object, trial: object, found: object) -> None:
        folder = Path(record.path).parent  # type: ignore[attr-defined]
        about = record.attributes  # type: ignore[attr-defined]
        page = vt.render(found, trial, folder, attributes=about)
        if not as_json:
            say(f"Report: {page}")

    table = vt.diagnose.validate(
        sheets, out=out, workers=workers, scheduler=scheduler, report=report
    )
    if as_json:
        print_json(table.to_dict("records"))
    else:
        words = vt.analysis.published_in_words(table)
        print_table(words, title="Published and simulated")
    lost = table.drop_duplicates("protocol")
    lost = lost[lost["failed"] > 0]
    for name, failed in zip(lost["protocol"], lost["failed"], strict=True):
        counted = f"{failed} subject{'s'[: failed != 1]} could not be solved"
        warn(f"{name}: {counted}, and no number counts them; see the report.")
    if len(lost):
        raise typer.Exit(UNSOLVED)
    if (table["verdict"] == vt.analysis.MISS).any():
        raise typer.Exit(MISSED)


@app.command(epilog="Example: `vtrial replay results/my-trial --subjects 100`")
def replay(
    record: Annotated[Path, typer.Argument(help="A run's folder or record.")],
    subjects: Annotated[int, typer.Option(help="Of each arm, the first ones.")] = 20,
    as_json: Json = False,
) -> None:
    """Solve realised doses again as fixed ones; fails where the course is another."""
    table = vt.diagnose.replay(record, subjects=subjects)
    if as_json:
        print_json(table.to_dict("records"))
    else:
        words = table.rename(
            columns={
                "largest": "largest difference [tolerances]",
                "error": "solver's own error [tolerances]",
            }
        )
        print_table(words, title="Realised doses, solved again")


@app.command(epilog="Example: `vtrial sensitivity docetaxel-dose nadir --arm d100`")
def sensitivity(
    protocol: Annotated[str, typer.Argument(help="A protocol sheet or shipped name.")],
    endpoint: Annotated[str, typer.Argument(help="An endpoint of the protocol.")],
    arm: Annotated[str, typer.Option(help="Under which arm; the first if none.")] = "",
    subjects: Annotated[int, typer.Option(help="Of each of two samples.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="The table as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Print which covariates, effects and parameters an endpoint is sensitive to."""
    trial = vt.load_protocol(protocol)
    table = vt.diagnose.sensitivity(trial, endpoint, arm=arm, subjects=subjects)
    if out is not None:
        table.to_csv(out, index=False)
    if as_json:
        print_json(table.to_dict("records"))
    else:
        title = f"{endpoint} under {arm or trial.arms[0].name}: shares of the variance"
        print_table(table.drop(columns="kind").round(4).astype(str), title=title)


@app.command(epilog="Example: `vtrial model docetaxel-neutropenia`")
def model(
    name: Annotated[str, typer.Argument(help="A model; none lists them.")] = "",
    as_json: Json = False,
) -> None:
    """Print a model: equations, parameters with sources, and how it is solved."""
    if not name:
        solved = vt.diagnose.library_solved()
        width = max(len(one.model) for one in solved)
        lines = [f"{one.model:<{width}}  {one.words}" for one in solved]
        if as_json:
            print_json([one._asdict() for one in solved])
        else:
            say("\n".join(lines))
        return
    loaded = vt.load_model(name)
    found = vt.diagnose.solving(loaded)
    if as_json:
        print_json(vt.model.describe_data(loaded) | {"solving": found._asdict()})
        return
    say(vt.model.describe(loaded))
    say(f"\nJacobian: {found.sparsity}\nSolved by {found.words}")


@app.command(epilog="Example: `vtrial schema protocol > protocol.schema.json`")
def schema(
    kind: Annotated[str, typer.Argument(help=KINDS)],
) -> None:
    """Print the JSON Schema of a kind of sheet, for editors."""
    schemas = {
        "protocol": lambda: vt.protocol.protocol_schema(),
        "model": lambda: vt.model.model_schema(),
        "cohort": lambda: vt.cohort.cohort_schema(),
        "match": lambda: vt.cohort.match_schema(),
        "sampling": lambda: vt.protocol.sampling_schema(),
    }
    if kind not in schemas:
        warn(f"kind is {kind}; it must be {KINDS}.")
        raise typer.Exit(WRONG)
    print_json(schemas[kind]())


@app.command(epilog="Example: `vtrial explain lloq`, or `vtrial explain risk ratio`")
def explain(
    key: Annotated[
        list[str],
        typer.Argument(help="A key (`lloq`, `random.cv`), or a word (`risk ratio`)."),
    ],
) -> None:
    """Explain a key of a sheet: where it stands, what it holds, and an example."""
    say(vt.conduct.explain(" ".join(key)))


@app.command(epilog="Example: `vtrial doctor`, or `vtrial doctor results/my-trial`")
def doctor(
    record: Annotated[
        Path | None,
        typer.Argument(help="A run's folder or record, of which to list what is torn."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say if vtrial works on this machine, or of a record if all of it is whole."""
    findings = vt.doctor(record)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for item, finding, good in findings:
            say(f"{'ok ' if good else 'BAD'} {item:<22} {finding}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(MISSED)


app.add_typer(jobs)
app.add_typer(matches)
app.add_typer(samplings)
app.add_typer(designs)
app.add_typer(fits)
app.add_typer(federated)
app.add_typer(twins)
app.add_typer(monitors)


@app.callback(invoke_without_command=True)
def version(
    version: Annotated[bool, typer.Option("--version", help="Print it.")] = False,
) -> None:
    """Handle what stands before a command."""
    if version:
        say(f"vtrial {vt.__version__}")
        raise typer.Exit(DONE)


def _changes(**changes: int | None) -> dict[str, int]:
    """Keep the changes that were asked for."""
    return {key: value for key, value in changes.items() if value is not None}


def _numbers(record: object, trial: object) -> dict[str, object]:
    """Return what a run has found, as plain data."""
    found = vt.evaluate(record.tree(), vt.conduct.as_held(record, trial))  # type: ignore[attr-defined]
    names = ("endpoints", "contrasts", "published", "failures", "missing")
    tables = {name: getattr(found, name).to_dict("records") for name in names}
    tables["comparisons"] = tables.pop("contrasts")
    if len(found.doses):
        ledger = ("rules", "doses", "given")
        tables |= {name: getattr(found, name).to_dict("records") for name in ledger}
    return tables


def _seen(path: Path) -> "vt.report.Run":
    """Evaluate a record as its own protocol asks."""
    record = vt.open_record(path)
    trial = vt.conduct.protocol_of(record)
    tree = record.tree()
    return vt.report.Run(vt.evaluate(tree, trial), trial, tree.attrs)


def _report(
    record: object, trial: object, *, quiet: bool = False, png: bool = False
) -> Path:
    """Evaluate a record, write its page, and say the headline."""
    tree = record.tree()  # type: ignore[attr-defined]
    trial = vt.conduct.as_held(record, trial)
    estimates = vt.evaluate(tree, trial)
    folder = Path(record.path).parent  # type: ignore[attr-defined]
    page = vt.render(estimates, trial, folder, attributes=tree.attrs, png=png)
    if not quiet:
        endpoints, effects = vt.analysis.summary(estimates, trial)
        for table, title in ((endpoints, "Endpoints"), (effects, "Comparisons")):
            if len(table):
                print_table(table, title=title)
        if len(estimates.published):
            print_table(estimates.published_words(), title="Published and simulated")
        say(f"Report: {page}")
    return page
