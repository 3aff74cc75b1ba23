"""What a protocol asks that its model and its cohort cannot give."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vtrial.cohort.check import check_cohort
from vtrial.cohort.cohort import Cohort
from vtrial.conduct.extent import faults_of_size
from vtrial.conduct.impossible import arm_faults
from vtrial.dims import ARM, BASELINE, REPLICATE, SCREENED, SUBJECT
from vtrial.errors import Fault, SolverError, UnitError
from vtrial.model.grammar import write_expression
from vtrial.model.tree import Call, Expression, Name, Number, names_in
from vtrial.observe.screening import LEAST, scarce, share_let_in
from vtrial.protocol.design import REGION, SITE
from vtrial.protocol.periods import as_evaluated
from vtrial.protocol.protocol import Protocol
from vtrial.protocol.subset import names_of
from vtrial.sheets.sheet import Path_, Sheet, parse_sheet
from vtrial.sheets.words import listed, nearest
from vtrial.solver.choice import Choice, choose
from vtrial.units import factor

RESERVED = {SUBJECT, REPLICATE, ARM, SCREENED, "number"}
PER = {"WT": "kg", "BSA": "m2"}
FINEST = 1e-6  # relative tolerance in 32 bits, about eight times their rounding
_DISCRETE = {"<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "floor", "ceil"}


def faults_of(protocol: Protocol, cohort: Cohort) -> list[Fault]:
    """List everything that keeps a protocol from being run with its cohort."""
    sheet, given = _sheet(protocol), as_evaluated(protocol)
    faults = [
        *_missing(given, cohort, sheet),
        *_arms(given, cohort, sheet),
        *_units(given, cohort, sheet),
        *_strata(protocol, cohort, sheet),
        *_comparisons(protocol, cohort, sheet),
        *_kept(protocol, cohort, sheet),
        *_tolerance(protocol, sheet),
        *arm_faults(given, sheet),
        *faults_of_size(protocol, cohort, sheet),
        *_design(protocol, sheet),
    ]
    return faults or [*_screened(protocol, cohort, sheet)]


def _design(protocol: Protocol, sheet: Sheet) -> Iterator[Fault]:
    """Yield why an adaptation or an escalation of the trial cannot be enacted."""
    enactment = protocol.enactment
    if enactment is None or not (enactment.adaptations or enactment.escalation):
        return
    # Both load libraries that a check of other sheets does without.
    from vtrial.conduct.escalating import faults_of_escalation
    from vtrial.design.registry import faults_of_adaptations

    found = [
        *((("adapt", name), error) for name, error in faults_of_adaptations(enactment)),
        *((("escalation",), error) for error in faults_of_escalation(enactment)),
    ]
    for path, error in found:
        for fault in error.faults:
            yield sheet.fault(
                ("design", *path),
                found=f"{fault.at.removeprefix('escalation.')}: {fault.found}",
                allowed=fault.allowed,
                write="",
            )


def method_of(protocol: Protocol) -> Choice:
    """Choose the method that solves a protocol's model.

    Raises
    ------
    SolverError
        If the one that is asked for cannot.
    """
    try:
        return choose(protocol.model, protocol.numerics)
    except SolverError as error:
        raise SolverError.of(
            _at(_sheet(protocol), ("numerics", "method"), f) for f in error.faults
        ) from None


def _at(sheet: Sheet, path: Path_, fault: Fault) -> Fault:
    """Give a fault without a place that of an entry of the protocol."""
    if fault.source or not sheet.text:
        return fault
    line, column = sheet.place(path)
    return fault._replace(source=sheet.source, line=line, column=column)


def _sheet(protocol: Protocol) -> Sheet:
    """Read the protocol's text again, for the lines of its entries."""
    source = protocol.path or protocol.name
    if not protocol.text:
        return Sheet(source, "", {}, {})
    return parse_sheet(protocol.text, source=source)


def _missing(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> list[Fault]:
    """List what the model asks of a subject and the cohort does not give.

    What every arm sets need not come from the cohort.
    """
    sets = [{name for name, _ in arm.set} for arm in protocol.arms]
    given = set.intersection(*sets) if sets else set()
    return [
        _at(sheet, ("cohort",), fault)
        for fault in check_cohort(cohort, protocol.model)
        if not (fault.found.startswith("missing") and _named(fault) in given)
    ]


def _screened(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield why nobody can be screened by what is measured, or why it would not end."""
    asked = "run in" if protocol.eligible is None else "eligible"
    if protocol.eligible is None and protocol.run_in is None:
        return
    if cohort.table is not None and cohort.table.draw == "in order":
        yield sheet.fault(
            (asked,),
            found=f"given, though cohort `{cohort.name}` takes rows in order",
            allowed="left out, or the rows drawn: `draw: with replacement`",
            write="",
        )
        return
    if lacking := check_cohort(cohort, protocol.model):
        for fault in lacking:
            yield _at(sheet, ("cohort",), fault)
        return
    if protocol.eligible is None:
        return
    found, seen = share_let_in(protocol, cohort)
    if found < LEAST:
        fault = scarce(replace(protocol, run_in=None), found, seen)
        yield _at(sheet, ("eligible",), fault)


def _named(fault: Fault) -> str:
    """Return the covariate that a fault of a cohort is about."""
    return fault.at.removeprefix("covariates.").split(" of cohort ")[0]


def _arms(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield names that doses and `set` ask for and the cohort lacks."""
    known = [*cohort.names, *protocol.model.inputs]
    for arm in protocol.arms:
        needs = arm.regimen.needs if arm.regimen else ()
        asked = [("dose", name) for name in needs]
        asked += [
            ("set", name.name)
            for _, expression in arm.set
            for name in names_in(expression)
        ]
        for key, name in dict.fromkeys(asked):
            if name not in known:
                yield sheet.fault(
                    ("arms", arm.name, key),
                    found=f"asking for `{name}`, which cohort `{cohort.name}` lacks",
                    allowed=f"computed from {listed(sorted(known), like=name)}",
                    write=nearest(name, known),
                    old=name,
                )


def _units(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield doses per kg or m2 where weight or surface is not in that unit."""
    model = {c.name: c.unit for c in protocol.model.covariates}
    for arm in protocol.arms:
        regimen = arm.regimen
        for name in regimen.needs if regimen else ():
            wanted = PER.get(name, "")
            if not wanted or name not in cohort.names:
                continue
            unit = model.get(name, cohort.unit(name))
            if f"/{wanted}" in (regimen.words if regimen else "") and not _same(
                unit, wanted
            ):
                yield sheet.fault(
                    ("arms", arm.name, "dose"),
                    found=f"per {wanted}, but `{name}` is in {unit}",
                    allowed=f"given with `{name}` in {wanted}",
                    write="",
                )


def _same(unit: str, wanted: str) -> bool:
    try:
        return abs(factor(unit, wanted) - 1.0) < 1e-12
    except UnitError:
        return False


def _strata(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield strata and factors that the cohort lacks, or that are not categorical."""
    codes, allocation = categories(cohort), protocol.design.allocation
    path = ("design", "randomisation")
    here = [SITE, REGION] if allocation.accrual is not None else []
    for name in allocation.strata:
        if name not in (*codes, *here):
            allowed = f"a category: {listed(codes)}" if codes else "a category"
            yield sheet.fault(
                (*path, "stratified"),
                found=f"stratified by `{name}`, "
                + ("a number" if name in cohort.names else "which the cohort lacks"),
                allowed=allowed,
                write=nearest(name, codes),
                old=name,
            )
    known = dict.fromkeys([*codes, *here], True)
    for one in allocation.factors:
        if _discrete(one, known):
            continue
        words = write_expression(one)
        lacking = [n for n in names_of(one) if n not in (*cohort.names, *here)]
        cut = f"a condition that cuts it: `{words} < ...`"
        yield sheet.fault(
            (*path, "factors"),
            found=f"`{lacking[0]}`, which the cohort lacks"
            if lacking
            else f"`{words}`, a number that hardly two subjects share",
            allowed=f"a category: {listed(codes)}; or a condition: `AGE < 65`"
            if lacking
            else f"a category: {listed(codes)}; or {cut}",
            write=nearest(lacking[0], known) if lacking else "",
            old=lacking[0] if lacking else "",
        )
    if allocation.asked and not protocol.keep.covariates and protocol.enactment:
        yield sheet.fault(
            ("keep", "covariates"),
            found="off, but design.randomisation asks for "
            f"{listed(f'`{one}`' for one in allocation.asked)} when trials are enacted",
            allowed="on",
            write="true",
        )


def categories(cohort: Cohort) -> list[str]:
    """List what a cohort gives that takes only a few values."""
    known = {name: cohort.codes(name) is not None for name in cohort.names}
    for derived in cohort.derived:
        known[derived.name] = _discrete(derived.statement.expression, known)
    return [name for name, yes in known.items() if yes]


def _discrete(expression: Expression, known: Mapping[str, bool]) -> bool:
    """Return whether an expression takes only a few values."""
    if isinstance(expression, Number):
        return True
    if isinstance(expression, Name):
        return known.get(expression.name, False)
    assert isinstance(expression, Call)
    if expression.function in _DISCRETE:
        return True
    arguments = expression.arguments
    if expression.function == "if":
        arguments = arguments[1:]
    return all(_discrete(argument, known) for argument in arguments)


def _comparisons(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield covariates of comparisons that the record will not hold."""
    for path, name in _asked(protocol):
        known = [*([BASELINE] if path[-1] == "adjust" else []), *cohort.names]
        if name in known and name not in cohort.names:
            continue
        if name not in known:
            yield sheet.fault(
                path,
                found=f"`{name}`, which cohort `{cohort.name}` lacks",
                allowed=listed(known, like=name),
                write=nearest(name, known),
                old=name,
            )
        elif not protocol.keep.covariates:
            yield sheet.fault(
                ("keep", "covariates"),
                found=f"off, but {'.'.join(map(str, path))} asks for `{name}`",
                allowed="on",
                write="true",
            )


def _asked(protocol: Protocol) -> Iterator[tuple[Path_, str]]:
    """Yield the covariates that comparisons ask for, and where in the sheet."""
    for place, comparison in enumerate(protocol.analysis.comparisons):
        where = names_of(comparison.where) if comparison.where is not None else []
        asked = (("adjust", comparison.adjust), ("strata", comparison.strata))
        for key, names in (*asked, ("where", where)):
            yield from ((("analysis", place, key), name) for name in names)
    for place, point in enumerate(protocol.evidence.published):
        if point.where is not None:
            for name in names_of(point.where):
                yield ("published", place, "where"), name


def _kept(protocol: Protocol, cohort: Cohort, sheet: Sheet) -> Iterator[Fault]:
    """Yield names that the record cannot hold beside its own."""
    static = [statement.name for statement in protocol.model.structure.static]
    known = [*static, *protocol.model.inputs]
    names = list(cohort.names) if protocol.keep.covariates else []
    for name in names:
        if name in RESERVED:
            yield sheet.fault(
                ("cohort",),
                found=f"one with a covariate `{name}`, a name the record uses itself",
                allowed=f"one with another name for it, such as {name.upper()}",
                write="",
            )
    for name in protocol.keep.individual:
        taken = name in names or name in RESERVED
        if taken or name not in known:
            yield sheet.fault(
                ("keep", "individual"),
                found=f"`{name}`, " + ("kept already" if taken else "no parameter"),
                allowed=f"one of {listed(known, like=name)}",
                write=nearest(name, [k for k in known if k not in names]),
                old=name,
            )


def _tolerance(protocol: Protocol, sheet: Sheet) -> Iterator[Fault]:
    """Yield a tolerance that 32 bits cannot hold: they carry seven digits."""
    numerics = protocol.numerics
    if numerics.precision == 32 and numerics.rtol < FINEST:
        yield sheet.fault(
            ("numerics", "rtol"),
            found=f"{numerics.rtol:g}, finer than 32 bits can hold",
            allowed=f"{FINEST:g} or coarser, or `precision: 64`",
            write="rtol: 1e-6",
        )
