"""What a protocol says of the comparisons that an enactment asks for."""

from collections.abc import Mapping

import numpy as np

from vtrial.design.sight import AbstractSight
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.protocol import Protocol


class AbstractAsked(AbstractSight):
    """A sight of a protocol's own comparisons, whatever its data are."""

    protocol: Protocol

    @property
    def asked(self) -> Mapping[str, Comparison]:
        """The comparisons by name."""
        return {one.name: one for one in self.protocol.analysis.comparisons}

    def sides(self, comparison: str) -> tuple[int, int]:
        """Return the places of a comparison's arm and of its reference."""
        one, names = self.asked[comparison], tuple(self.names())
        return names.index(one.arm), names.index(one.reference)

    def alpha(self, comparison: str) -> float:
        """Return the p-value below which a comparison is significant by itself."""
        return self.asked[comparison].alpha

    def scaled(self, comparison: str, effect: float) -> float:
        """Return an effect on the scale of `Effects`."""
        ratio = self.asked[comparison].measure.ratio
        return float(np.log(effect)) if ratio else effect
