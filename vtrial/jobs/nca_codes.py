"""The names of non-compartmental parameters: CDISC's codes and words, and their units.

References
----------
CDISC Controlled Terminology, codelists PKPARMCD and PKPARM.
"""

from typing import Literal, NamedTuple

from vtrial.units import dimension, size

Sort = Literal["conc", "time", "rate", "auc", "aumc", "clearance", "volume", "%", "1"]
_EXTRAVASCULAR, _BOLUS, _INFUSION = 0, 1, 2
_IV = frozenset({_BOLUS, _INFUSION})
_EV = frozenset({_EXTRAVASCULAR})
_ALL = _IV | _EV


class Code(NamedTuple):
    """A parameter: which number it is, what it is called, by which routes it has it.

    `tail` says that it needs a terminal rate, `interval` a dosing interval, `dose` an
    amount.
    """

    number: str
    code: str
    test: str
    sort: Sort
    routes: frozenset[int] = _ALL
    tail: bool = False
    interval: bool = False
    dose: bool = False


def _tail(number: str, code: str, test: str, sort: Sort, routes=_ALL) -> Code:  # noqa: ANN001
    return Code(number, code, test, sort, routes, tail=True)


def _dosed(number: str, code: str, test: str, sort: Sort, routes=_ALL) -> Code:  # noqa: ANN001
    return Code(number, code, test, sort, routes, tail=True, dose=True)


def _tau(number: str, code: str, test: str, sort: Sort) -> Code:
    return Code(number, code, test, sort, interval=True)


CODES = (
    Code("cmax", "CMAX", "Max Conc", "conc"),
    Code("tmax", "TMAX", "Time of CMAX", "time"),
    Code("tlag", "TLAG", "Time Until First Nonzero Conc", "time", _EV),
    Code("c0", "C0", "Initial Conc", "conc", frozenset({_BOLUS})),
    Code("clast", "CLST", "Last Nonzero Conc", "conc"),
    Code("tlast", "TLST", "Time of Last Nonzero Conc", "time"),
    Code("auc_last", "AUCLST", "AUC to Last Nonzero Conc", "auc"),
    Code("auc_all", "AUCALL", "AUC All", "auc"),
    Code("aumc_last", "AUMCLST", "AUMC to Last Nonzero Conc", "aumc"),
    Code("mrt_last", "MRTEVLST", "MRT Extravasc to Last Nonzero Conc", "time", _EV),
    Code("mrt_last", "MRTIVLST", "MRT Intravasc to Last Nonzero Conc", "time", _IV),
    _tail("rate", "LAMZ", "Lambda z", "rate"),
    _tail("half_life", "LAMZHL", "Half-Life Lambda z", "time"),
    _tail("low", "LAMZLL", "Lambda z Lower Limit", "time"),
    _tail("high", "LAMZUL", "Lambda z Upper Limit", "time"),
    _tail("count", "LAMZNPT", "Number of Points for Lambda z", "1"),
    _tail("square", "R2", "R Squared", "1"),
    _tail("adjusted", "R2ADJ", "R Squared Adjusted", "1"),
    _tail("correlation", "CORRXY", "Correlation Between TimeX and Log ConcY", "1"),
    _tail("auc_inf", "AUCIFO", "AUC Infinity Obs", "auc"),
    _tail("auc_inf_pred", "AUCIFP", "AUC Infinity Pred", "auc"),
    _tail("extrapolated", "AUCPEO", "AUC %Extrapolation Obs", "%"),
    _tail("extrapolated_pred", "AUCPEP", "AUC %Extrapolation Pred", "%"),
    _tail("back", "AUCPBEO", "AUC %Back Extrapolation Obs", "%", frozenset({_BOLUS})),
    _tail("aumc_inf", "AUMCIFO", "AUMC Infinity Obs", "aumc"),
    _tail("aumc_inf_pred", "AUMCIFP", "AUMC Infinity Pred", "aumc"),
    _tail("aumc_extrapolated", "AUMCPEO", "AUMC % Extrapolation Obs", "%"),
    _tail("aumc_extrapolated_pred", "AUMCPEP", "AUMC % Extrapolation Pred", "%"),
    _tail("mrt_inf", "MRTEVIFO", "MRT Extravasc Infinity Obs", "time", _EV),
    _tail("mrt_inf_pred", "MRTEVIFP", "MRT Extravasc Infinity Pred", "time", _EV),
    _tail("mrt_inf", "MRTIVIFO", "MRT Intravasc Infinity Obs", "time", _IV),
    _tail("mrt_inf_pred", "MRTIVIFP", "MRT Intravasc Infinity Pred", "time", _IV),
    _dosed("cl", "CLFO", "Total CL Obs by F", "clearance", _EV),
    _dosed("cl_pred", "CLFP", "Total CL Pred by F", "clearance", _EV),
    _dosed("vz", "VZFO", "Vz Obs by F", "volume", _EV),
    _dosed("vz_pred", "VZFP", "Vz Pred by F", "volume", _EV),
    _dosed("cl", "CLO", "Total CL Obs", "clearance", _IV),
    _dosed("cl_pred", "CLP", "Total CL Pred", "clearance", _IV),
    _dosed("vz", "VZO", "Vz Obs", "volume", _IV),
    _dosed("vz_pred", "VZP", "Vz Pred", "volume", _IV),
    _dosed("vss", "VSSO", "Vol Dist Steady State Obs", "volume", _IV),
    _dosed("vss_pred", "VSSP", "Vol Dist Steady State Pred", "volume", _IV),
    _tau("auc_tau", "AUCTAU", "AUC Over Dosing Interval", "auc"),
    _tau("c_average", "CAVG", "Average Conc", "conc"),
    _tau("cmin", "CMIN", "Min Conc", "conc"),
    _tau("tmin", "TMIN", "Time of CMIN Observation", "time"),
    _tau("trough", "CTROUGH", "Conc Trough", "conc"),
    _tau("fluctuation", "FLUCP", "Fluctuation%", "%"),
    _tau("swing", "SWING", "Swing", "1"),
    _tau("accumulation", "AILAMZ", "Accumulation Index using Lambda z", "1"),
    Code("cl_tau", "CLFTAU", "Total CL by F for Dose Int", "clearance", _EV)._replace(
        interval=True, dose=True
    ),
    Code("cl_tau", "CLTAU", "Total CL for Dose Int", "clearance", _IV)._replace(
        interval=True, dose=True
    ),
    Code("vz_tau", "VZFTAU", "Vz for Dose Int by F", "volume", _EV)._replace(
        interval=True, dose=True
    ),
    Code("vz_tau", "VZTAU", "Vz for Dose Int", "volume", _IV)._replace(
        interval=True, dose=True
    ),
)
PARTIAL = Code("partial", "AUCINT", "AUC from T1 to T2", "auc")


class Scaled(NamedTuple):
    """A unit, and what numbers in the data's units are multiplied by to be in it."""

    unit: str
    factor: float = 1.0


def units_of(time: str, conc: str, dose: str) -> dict[Sort, Scaled]:
    """Return the unit of each sort of number; volumes in L where they convert.

    Raises
    ------
    UnitError
        If one is no unit.

    Examples
    --------
    >>> found = units_of("h", "ng/mL", "mg")
    >>> found["auc"].unit, found["clearance"]
    ('h*ng/mL', Scaled(unit='L/h', factor=1000.0))
    """
    volume = Scaled(f"{dose}/({conc})")
    given = dimension(dose) / dimension(conc)
    for liter in ("L", "L/kg", "L/m2"):
        if given == dimension(liter):
            ratio = size(dose) / size(conc) / size(liter)
            volume = Scaled(liter, float(f"{ratio:.12g}"))
            break
    dimension(time)
    clearance = f"{volume.unit}/{time}"
    if "(" in volume.unit:
        clearance = f"{dose}/({conc}*{time})"
    elif volume.unit != "L":
        clearance = f"L/{time}{volume.unit.removeprefix('L')}"
    return {
        "conc": Scaled(conc),
        "time": Scaled(time),
        "rate": Scaled(f"1/{time}"),
        "auc": Scaled(f"{time}*{conc}"),
        "aumc": Scaled(f"{time}2*{conc}"),
        "clearance": Scaled(clearance, volume.factor),
        "volume": volume,
        "%": Scaled("%"),
        "1": Scaled(""),
    }
