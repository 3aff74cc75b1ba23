"""Edit the text of a sheet where its entries stand, as a person with an editor does."""

import functools
import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode


class Spliced:
    """A text and where each of its entries begins and ends, by path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[tuple, tuple[int, int]] = {}
        self.values: dict[tuple, tuple[int, int]] = {}
        self.nodes: dict[tuple, Any] = {}
        self._walk(YAML().compose(text), ())

    def set(self, path: tuple, value: object) -> str:
        """Write a value in the place of an entry's, or as a new entry."""
        if path in self.values:
            return self._put(*self.values[path], _flow(value))
        around, name = self.nodes[path[:-1]], _flow(path[-1])
        entry = name + ": " + _flow(value)
        if isinstance(around, SequenceNode):
            entry = _flow(value)
        first, last = self.values[path[:-1]]
        if around.flow_style:
            comma = ", " if around.value else ""
            return self._put(last - 1, last - 1, comma + entry)
        column = around.value[0][0].start_mark.column if around.value else 0
        return self._put(first, first, entry + "\n" + " " * column)

    def call(self, path: tuple, name: str) -> str:
        """Give a key another name."""
        return self._put(*self.keys[path], _flow(name))

    def drop(self, path: tuple) -> str:
        """Leave an entry out."""
        first = self.keys.get(path, self.values[path])[0]
        last = self.values[path][1]
        if self.nodes[path[:-1]].flow_style:
            behind = self.text[last:].lstrip()
            if behind.startswith(","):
                last = self.text.index(",", last) + 1
            else:
                first = self.text.rindex(",", 0, first) if self._led(first) else first
        else:
            line = self.text.rfind("\n", 0, first) + 1
            lead = self.text[line:first]
            first = first if lead.strip(" -") and "-" in lead else line
            stop = self.text.find("\n", last)
            last = stop + 1 if self.text[last:stop].strip() == "" else last
        return self._put(first, last, "")

    def _led(self, place: int) -> bool:
        return self.text[:place].rstrip().endswith(",")

    def _put(self, first: int, last: int, new: str) -> str:
        return self.text[:first] + new + self.text[last:]

    def _walk(self, node: Any, path: tuple) -> None:
        self.nodes[path] = node
        first, last = node.start_mark.index, node.end_mark.index
        if not getattr(node, "flow_style", True) or getattr(node, "style", "") == "|":
            last = first + len(self.text[first:last].rstrip())
        self.values[path] = first, last
        if isinstance(node, MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                self.keys[inner] = key.start_mark.index, key.end_mark.index
                self._walk(value, inner)
        elif isinstance(node, SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*path, index))


@functools.lru_cache(maxsize=64)
def entries_of(text: str) -> Spliced:
    """Find the entries of a text, once."""
    return Spliced(text)


def swapped(text: str, there: tuple[int, int], old: str, new: str) -> str:
    """Write other words for those that begin at a line and column."""
    rows = text.split("\n")
    place = sum(len(row) + 1 for row in rows[: there[0] - 1]) + there[1] - 1
    if text[place : place + 1] in "\"'" and not old.startswith(("'", '"')):
        place += 1
    found = text[place : place + len(old)]
    assert found == old, f"{there} is {found!r}, not {old!r}"
    return text[:place] + new + text[place + len(old) :]


def _flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        read = None
        if value and not set(value) & set(",:{}[]#&*!|>'\"%@`\\\n=?-"):
            try:
                read = YAML(typ="safe").load(value)
            except Exception:
                read = None
        return value if read == value else json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return str(value)
