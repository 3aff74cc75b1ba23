"""Randomisation that looks at who came before, and sequences of treatments.

Takes arms, their ratio, and the subjects in the order of their enrolment.
Does assign each by its own draw and by whom the arms have so far.
Gives the arm, or the sequence of treatments, of every subject.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "big_stick": "vtrial.design.randomisation.restricted",
        "biased_coin": "vtrial.design.randomisation.restricted",
        "by_cluster": "vtrial.design.randomisation.cluster",
        "factorial": "vtrial.design.randomisation.combination",
        "in_order": "vtrial.design.randomisation.in_order",
        "imbalances": "vtrial.design.randomisation.minimisation",
        "minimise": "vtrial.design.randomisation.minimisation",
        "tickets": "vtrial.design.randomisation.ticket",
        "urn": "vtrial.design.randomisation.restricted",
        "williams_square": "vtrial.protocol.williams",
    },
)
