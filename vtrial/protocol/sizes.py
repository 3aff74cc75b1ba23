"""How many subjects a protocol has, where its sheet says it by arm."""

import itertools


def in_all(subjects: int | dict[str, int]) -> int:
    """Return how many subjects there are under all arms."""
    return sum(subjects.values()) if isinstance(subjects, dict) else subjects


def resized(subjects: object, total: int) -> object:
    """Return subjects by arm that add up to another total, as near as can be."""
    if not isinstance(subjects, dict):
        return total
    counts = [n for n in subjects.values() if isinstance(n, int)]
    if len(counts) < len(subjects) or not sum(counts) or total < len(counts):
        return total
    limits = [
        round(total * part / sum(counts)) for part in itertools.accumulate(counts)
    ]
    sizes = [high - low for low, high in itertools.pairwise([0, *limits])]
    return dict(zip(subjects, sizes, strict=True)) if min(sizes) > 0 else total
