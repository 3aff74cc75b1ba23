"""Every adaptation that is enacted, by its word: what the files of `kinds/` declare."""

import functools
from collections.abc import Iterator, Mapping

from vtrial.design import kinds
from vtrial.design.kind import Kind
from vtrial.errors import ProtocolError
from vtrial.lazy import declared
from vtrial.protocol.enactment import Enactment


@functools.cache
def kinds_of_adaptation() -> Mapping[str, Kind]:
    """Return how each adaptation decides.

    Examples
    --------
    >>> kinds_of_adaptation()["drop arms"].word
    'drop arms'
    """
    return declared(kinds)


def faults_of_adaptations(
    enactment: Enactment,
) -> Iterator[tuple[str, ProtocolError]]:
    """Yield the names of adaptations that cannot be enacted, and why."""
    for one in enactment.adaptations:
        check = kinds_of_adaptation()[one.by].check
        try:
            if check is not None:
                check(one, enactment)
        except ProtocolError as error:
            yield one.name, error
