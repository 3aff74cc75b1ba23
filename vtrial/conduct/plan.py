"""Plan: what a run would do, with everything refused that cannot work."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from vtrial.cohort.cohort import Cohort
from vtrial.cohort.sheet import load_cohort
from vtrial.conduct.engine import engine, solved_as
from vtrial.conduct.extent import bytes_for, bytes_held, size_words
from vtrial.conduct.feasibility import faults_of, method_of
from vtrial.conduct.remembered import remember_compiled
from vtrial.endpoint.endpoint import DROPOUT
from vtrial.errors import ProtocolError
from vtrial.observe.predicted import solutions_of
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.sheets.validate import raise_faults
from vtrial.solver.choice import Choice

RESULTS = Path("results")
SAMPLE = 64  # subjects on whom 32 bits are compared with 64


@dataclass(frozen=True, eq=False)
class Plan:
    """A trial that can be run: what is simulated, how, in how many blocks, and where.

    Fields
    ------
    protocol, cohort
        What is simulated, and with whom.
    choice
        The method that solves the model, and why.
    digest
        Names all that the numbers depend on; the number of replicates does not count.
    """

    protocol: Protocol
    cohort: Cohort
    choice: Choice
    digest: str

    @property
    def subjects(self) -> int:
        """How many subjects all replicates have."""
        return self.protocol.total

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.protocol.blocks

    def size(self, block: int) -> int:
        """Return how many subjects a block has."""
        return self.protocol.size(block)

    @property
    def simulations(self) -> int:
        """How many solutions there are: subjects, times arms if each gets all.

        Predictions of the population are solutions, too.
        """
        every = self.protocol.potential == "all"
        arms = len(self.protocol.arms) if every else 1
        return self.subjects * arms * (1 + solutions_of(self.protocol))

    @property
    def compared(self) -> int:
        """How many subjects are solved again in 64 bits; none if all are."""
        protocol = self.protocol
        return (
            0 if protocol.numerics.precision == 64 else min(SAMPLE, protocol.subjects)
        )

    @property
    def folder(self) -> Path:
        """Where the record goes unless it is said."""
        return RESULTS / f"{self.protocol.name}-{self.digest[:8]}"

    @property
    def bytes(self) -> float:
        """Size of the record before compression [bytes]."""
        return bytes_for(
            self.protocol, self.cohort, subjects=self.subjects, blocks=self.blocks
        )

    @property
    def held(self) -> float:
        """Memory that each process needs for a block, about [bytes]."""
        return bytes_held(self.protocol, self.cohort)

    def words(self) -> str:
        """Return the plan as lines of text."""
        protocol = self.protocol
        lines = [
            ("protocol", f"{protocol.name}: {protocol.title or 'untitled'}"),
            ("model", f"{protocol.model.name}, cohort {self.cohort.name}"),
            *((f"arm {arm.name}", _arm_words(protocol, i)) for i, arm in _arms(self)),
            (
                "subjects",
                f"{protocol.subjects:,} x {protocol.replicates:,} replicates "
                f"= {self.subjects:,}, simulated under {_under(protocol)}",
            ),
            *_leaving_words(protocol),
            ("blocks", f"{self.blocks:,} of up to {protocol.block:,} subjects"),
            ("method", self.choice.words),
            *_prediction_words(protocol),
            *_precision_words(self),
            ("record", f"about {size_words(self.bytes)} before compression"),
            ("memory", f"about {size_words(self.held)} for a block, in each process"),
            ("folder", str(self.folder)),
            ("seed", str(protocol.seed)),
            ("digest", self.digest),
        ]
        width = max(len(item) for item, _ in lines)
        return "\n".join(f"{item:<{width}}  {finding}" for item, finding in lines)

    def as_data(self) -> dict[str, object]:
        """Return the plan as plain data, for JSON."""
        protocol = self.protocol
        return {
            "protocol": protocol.name,
            "title": protocol.title,
            "model": protocol.model.name,
            "cohort": self.cohort.name,
            "arms": {arm.name: _arm_words(protocol, i) for i, arm in _arms(self)},
            "dropout": {c.name: c.words for c in protocol.design.dropout.causes},
            "subjects": protocol.subjects,
            "replicates": protocol.replicates,
            "total_subjects": self.subjects,
            "simulations": self.simulations,
            "potential": protocol.potential,
            "blocks": self.blocks,
            "block": protocol.block,
            "method": self.choice.method or self.choice.other,
            "reason": self.choice.reason,
            "numerics": solved_as(protocol.numerics),
            "compared_with_64_bits": self.compared,
            "bytes": self.bytes,
            "bytes_held": self.held,
            "folder": str(self.folder),
            "seed": protocol.seed,
            "engine": engine(),
            "digest": self.digest,
        }


def plan(protocol: Protocol) -> Plan:
    """Plan a run of a protocol; nothing is simulated and nothing written.

    Raises
    ------
    ProtocolError
        With everything that the protocol asks and its model or cohort cannot give.
    CohortError
        If the cohort sheet itself is at fault.
    SolverError
        If the method that is asked for cannot solve the model.
    """
    remember_compiled()  # whether people are eligible is found out by programs
    cohort = load_cohort(protocol.cohort, beside=protocol.path)
    raise_faults(ProtocolError, faults_of(protocol, cohort))
    choice = method_of(protocol)
    return Plan(protocol, cohort, choice, digest_of(protocol, cohort))


def digest_of(protocol: Protocol, cohort: Cohort) -> str:
    """Name all that the simulated numbers depend on."""
    parts = [protocol.digest, cohort.digest, engine(), repr(protocol.numerics)]
    parts += [f"block {protocol.block}", f"seed {protocol.seed}"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _arms(planned: Plan) -> list[tuple[int, Arm]]:
    return list(enumerate(planned.protocol.arms))


def _arm_words(protocol: Protocol, index: int) -> str:
    """Describe an arm: its regimen, what it sets, and its share of the subjects."""
    arm = protocol.arms[index]
    parts = [arm.regimen.words if arm.regimen else "no doses"]
    if arm.set:
        parts += ["sets " + ", ".join(arm.sets)]
    if arm.by_occasion:
        names = dict.fromkeys(name for one in arm.by_occasion for name, _ in one)
        parts += [f"sets {', '.join(names)} by period"]
    weights = protocol.design.allocation.weights
    if len(protocol.arms) > 1:
        parts += [f"{weights[index]} of {sum(weights)} subjects"]
    return "; ".join(parts)


def _leaving_words(protocol: Protocol) -> list[tuple[str, str]]:
    """Return for which causes subjects leave, a line each."""
    causes = protocol.design.dropout.causes
    return [
        ("dropout" if one.name == DROPOUT else f"dropout {one.name}", one.words)
        for one in causes
    ]


def _prediction_words(protocol: Protocol) -> list[tuple[str, str]]:
    """Return how often more a subject is solved for prediction-corrected checks."""
    more = solutions_of(protocol)
    if not more:
        return []
    times = "once more" if more == 1 else f"{more} times more"
    words = f"of the population, for corrected checks: each subject is solved {times}"
    return [("predictions", words)]


def _precision_words(planned: Plan) -> list[tuple[str, str]]:
    """Return what will be measured of a precision that is not the default."""
    if not planned.compared:
        return []
    words = (
        f"{planned.protocol.numerics.precision} bits; their error against 64 bits is "
        f"measured on {planned.compared} subjects under each arm, for the report"
    )
    return [("precision", words)]


def _under(protocol: Protocol) -> str:
    if len(protocol.arms) == 1:
        return "one arm"
    if protocol.potential == "all":
        return f"each of {len(protocol.arms)} arms"
    return "the arm that each is allocated to"
