"""The plan of a group sequential test: when it looks, and by which families."""

from dataclasses import dataclass

import numpy as np

from vtrial.design.sequential.spending import SPENDING, USER
from vtrial.errors import ProtocolError

OBRIEN_FLEMING = "O'Brien-Fleming"
POCOCK = "Pocock"
WANG_TSIATIS = "Wang-Tsiatis"
HAYBITTLE_PETO = "Haybittle-Peto"
CRITICAL_VALUES = "critical values"
NONE = "none"
PAMPALLONA_TSIATIS = "Pampallona-Tsiatis"
TRIANGULAR = "triangular"
ON_Z = "z"

SPENDERS = (*SPENDING, USER)
EFFICACY = (
    OBRIEN_FLEMING,
    POCOCK,
    WANG_TSIATIS,
    HAYBITTLE_PETO,
    CRITICAL_VALUES,
    NONE,
    PAMPALLONA_TSIATIS,
    TRIANGULAR,
    *SPENDERS,
)
FUTILITY = (NONE, ON_Z, PAMPALLONA_TSIATIS, TRIANGULAR, *SPENDERS)
_BOTH = (PAMPALLONA_TSIATIS, TRIANGULAR)  # families that draw both bounds at once

Parameter = float | int | tuple[float | int, ...] | None


@dataclass(frozen=True)
class GroupSequential:
    """The plan of a group sequential test on a statistic Z.

    Parameters
    ----------
    information
        Share of the planned information at each look, rising, at most 1.
    alpha
        Type I error, of both sides together where there are two. With `critical values`
        the bounds say what is spent, with `user spending` the last value does.
    beta
        Type II error at the effect that the trial is sized for.
    sides
        1 to test for a larger mean only, 2 for both sides by symmetric bounds.
    efficacy
        Family of the bounds of efficacy.
        `O'Brien-Fleming`, `Pocock`: c t^(delta - 1/2) with delta 0 and 1/2;
        `Wang-Tsiatis`: with the parameter as delta;
        `Haybittle-Peto`: the parameter (3) at every look but the last;
        `critical values`: the parameter, one value a look;
        `none`: no stop for efficacy before the last look;
        `O'Brien-Fleming spending`, `Pocock spending`; `Hwang-Shih-DeCani` (gamma);
        `Kim-DeMets` (rho); `user spending` (errors spent by each look);
        `Pampallona-Tsiatis` (delta), with the same family for futility;
        `triangular`: c (1 + t) / (2 sqrt t) and c (3 t - 1) / (2 sqrt t).
    futility
        Family of the bounds of futility: `none`, `z` (the parameter, one value for
        each look but the last), a family that spends beta, or `Pampallona-Tsiatis` or
        `triangular` beside the same efficacy.
    binding
        Whether the trial must stop at futility, so that the bounds of efficacy are
        lower for it.
    both_tails
        Whether a rejection on the wrong side counts for the power of two sides.

    Raises
    ------
    ProtocolError
        If the plan cannot be.

    References
    ----------
    O'Brien PC, Fleming TR (1979) Biometrics 35:549-556.
    Pocock SJ (1977) Biometrika 64:191-199.
    Wang SK, Tsiatis AA (1987) Biometrics 43:193-199.
    Haybittle JL (1971) Br J Radiol 44:793-797.
    Pampallona S, Tsiatis AA (1994) J Stat Plan Inference 42:19-35.
    Whitehead J, Stratton I (1983) Biometrics 39:227-236 (triangular test).
    """

    information: tuple[float | int, ...]
    alpha: float = 0.025
    beta: float = 0.2
    sides: int = 1
    efficacy: str = OBRIEN_FLEMING
    efficacy_parameter: Parameter = None
    futility: str = NONE
    futility_parameter: Parameter = None
    binding: bool = False
    both_tails: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be planned."""
        shares = np.asarray(self.information, float)
        _check(
            shares.size > 0 and bool(np.all(np.diff(shares, prepend=0.0) > 0)),
            ("information", self.information, "rising shares above 0", "[0.5, 1]"),
        )
        _check(
            bool(shares[-1] <= 1 + 1e-12),
            ("information", self.information, "at most 1 at the last look", "[0.5, 1]"),
        )
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            _check(0 < value < 1, (name, value, "between 0 and 1", f"{name}: 0.025"))
        _check(self.sides in (1, 2), ("sides", self.sides, "1 or 2", "sides: 1"))
        for name, words in (("efficacy", EFFICACY), ("futility", FUTILITY)):
            value = getattr(self, name)
            given = ", ".join(f"`{word}`" for word in words)
            _check(value in words, (name, f"`{value}`", f"one of {given}", ""))
        self._check_parameters(len(shares))

    def _check_parameters(self, looks: int) -> None:
        """Refuse parameters of the wrong number, and families that do not agree."""
        for family, given, name in (
            (self.efficacy, self.efficacy_parameter, "efficacy_parameter"),
            (self.futility, self.futility_parameter, "futility_parameter"),
        ):
            count = np.size(given) if given is not None else 0
            if family in (CRITICAL_VALUES, USER):
                allowed = f"{looks} values, one for each look"
                _check(count == looks, (name, given, allowed, ""))
            if family == USER:
                spent = np.diff(np.asarray(given, float), prepend=0.0)
                fine = bool(np.all(spent >= 0) and 0 < float(np.cumsum(spent)[-1]) < 1)
                _check(fine, (name, given, "rising errors below 1", ""))
            if family == ON_Z:
                allowed = f"{looks - 1} values, one for each look but the last"
                _check(count in (looks - 1, looks), (name, given, allowed, ""))
            if family in (WANG_TSIATIS, PAMPALLONA_TSIATIS):
                _check(count == 1, (name, given, "one number (delta)", f"{name}: 0.25"))
        pair = {self.efficacy, self.futility}
        _check(
            len(pair) == 1 or not pair & set(_BOTH),
            (
                "futility",
                f"`{self.futility}` beside `{self.efficacy}`",
                "the same family as efficacy, for it draws both bounds",
                f"futility: {self.efficacy}",
            ),
        )
        one_sided = self.futility not in (ON_Z, TRIANGULAR) or self.sides == 1
        _check(
            one_sided,
            ("futility", f"`{self.futility}`", "for a test of one side", "sides: 1"),
        )

    @property
    def looks(self) -> int:
        """Number of looks, the last one included."""
        return len(self.information)

    @property
    def total_alpha(self) -> float:
        """Type I error that the plan's families may spend by full information."""
        if self.efficacy == USER:
            return float(np.ravel(np.asarray(self.efficacy_parameter, float))[-1])
        return self.alpha

    @property
    def total_beta(self) -> float:
        """Type II error that the plan may spend by full information."""
        if self.futility == USER:
            return float(np.ravel(np.asarray(self.futility_parameter, float))[-1])
        return self.beta


def _check(fine: bool, fault: tuple[str, object, str, str]) -> None:
    """Raise a fault of the plan where it is not fine."""
    if not fine:
        at, found, allowed, write = fault
        raise ProtocolError(at=at, found=str(found), allowed=allowed, write=write)
