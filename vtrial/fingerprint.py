"""A digest of the package's own code: what other code has made is not the same."""

import functools
import hashlib
from pathlib import Path


@functools.cache
def fingerprint(*places: str) -> str:
    """Return a digest of files, and of all files in folders, below the package.

    Examples
    --------
    >>> fingerprint("keys.py") == fingerprint("keys.py") != fingerprint("types.py")
    True
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for name in places:
        place = package / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
