"""A protocol with some of its parts replaced, whichever of its nouns holds them."""

from dataclasses import replace

PARTS = {
    "allocation": ("design", "allocation"),
    "dropout": ("design", "dropout"),
    "comparisons": ("analysis", "comparisons"),
    "multiplicity": ("analysis", "multiplicity"),
    "published": ("evidence", "published"),
    "observed": ("evidence", "observed"),
    "outcomes": ("evidence", "outcomes"),
}


def altered(protocol, **changes):
    """Replace fields of a protocol, or of its design, analysis and evidence."""
    for name in [name for name in changes if name in PARTS]:
        noun, field = PARTS[name]
        part = replace(getattr(protocol, noun), **{field: changes.pop(name)})
        protocol = replace(protocol, **{noun: part})
    return replace(protocol, **changes)
