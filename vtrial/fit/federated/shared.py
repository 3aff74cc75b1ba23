"""The folder that a coordinator and its sites share: all that crosses lies in it.

    asked/0001.json         the questions, by round
    told/SITE/0001.json     each site's replies
    ended.json              after the last round

Files are written whole or not at all, and none is ever changed: whoever was killed
finds there how far things went.
"""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vtrial.errors import FitError
from vtrial.fit.federated.message import Question, Reply, message_of, written

SOONEST, LATEST = 0.002, 0.5  # [s] between looks at the folder
SAID = 10.0  # [s] after which it is told that one waits
_NUMBERED = "[0-9]*.json"
NAME = re.compile(r"\w[\w-]{0,63}")


class Shared(NamedTuple):
    """A shared folder."""

    folder: Path

    def question(self, number: int) -> Question | None:
        """Return the question of a round, if it was asked."""
        path = self.folder / "asked" / _file(number)
        return message_of(path.read_text(), Question, str(path)) if _is(path) else None

    def ask(self, question: Question) -> None:
        """Ask; a question that stands there must be the same.

        Raises
        ------
        FitError
            If another fit asked in this folder.
        """
        before = self.question(question.round)
        if before is None:
            put(self.folder / "asked" / _file(question.round), written(question))
        elif before != question:
            found = f"in use by another fit since round {question.round}"
            allowed = "new, or that of the same command, model and version of vtrial"
            raise FitError(str(self.folder), found, allowed, "")

    def next_question(self, site: str) -> Question | None:
        """Return the first question without a reply of a site, if there is one."""
        told = {path.name for path in (self.folder / "told" / site).glob(_NUMBERED)}
        asked = sorted(path.name for path in (self.folder / "asked").glob(_NUMBERED))
        open_ = next((name for name in asked if name not in told), None)
        return None if open_ is None else self.question(int(Path(open_).stem))

    def reply(self, site: str, number: int) -> Reply | None:
        """Return a site's reply to a round, or its refusal, if there is one."""
        folder = self.folder / "told" / site
        for path in (folder / _file(number), folder / "refused.json"):
            if _is(path):
                return message_of(path.read_text(), Reply, str(path))
        return None

    def tell(self, reply: Reply) -> None:
        """Write a site's reply; a refusal can be withdrawn."""
        name = "refused.json" if reply.refused else _file(reply.round)
        put(self.folder / "told" / reply.site / name, written(reply))

    def withdraw(self, site: str) -> None:
        """Take back a refusal: the site is here again."""
        (self.folder / "told" / site / "refused.json").unlink(missing_ok=True)

    def end(self, rounds: int) -> None:
        """Say that nothing will be asked any more."""
        put(self.folder / "ended.json", json.dumps({"rounds": rounds}))

    @property
    def ended(self) -> bool:
        """Whether nothing will be asked any more."""
        return _is(self.folder / "ended.json")


def check_site(name: str) -> None:
    """Refuse a site's name that no folder can bear.

    Raises
    ------
    FitError
        If it cannot be one.
    """
    if not NAME.fullmatch(name):
        allowed = "letters, digits, `-` and `_`"
        raise FitError("the name of a site", f"`{name}`", allowed, "")


def wait_for(
    ready: Callable[[], bool],
    what: str,
    *,
    patience: float,
    said: Callable[[str], None] | None = None,
) -> None:
    """Wait until something is there; `said` is told now and then that one waits.

    Raises
    ------
    FitError
        After `patience` [s].
    """
    begun, told = time.monotonic(), SAID
    while not ready():
        passed = time.monotonic() - begun
        if passed > patience:
            allowed = "there within it; the same command goes on from here"
            raise FitError(what, f"not there after {patience:g} s", allowed, "")
        if said is not None and passed > told:
            said(f"waiting for {what}, {passed:.0f} s so far")
            told *= 2
        time.sleep(min(max(passed / 10, SOONEST), LATEST))


def _file(number: int) -> str:
    return f"{number:04d}.json"


def _is(path: Path) -> bool:
    return path.is_file()


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)
