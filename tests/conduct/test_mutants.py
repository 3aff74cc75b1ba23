"""No sheet, however it came to be wrong, ends in anything but words with a line.

Shipped sheets are changed at random: characters, lines, entries, values that no sheet
should hold. What is left is either in order or refused, at once and legibly.
"""

import copy
import io
import random
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from vtrial.conduct.check import check_sheet
from vtrial.errors import VtrialError
from vtrial.model.sheet import LIBRARY
from vtrial.sheets.find import shipped

MODELS = (
    *("antibody-serum", "darbepoetin-haemoglobin", "direct-sigmoid-emax"),
    *("dmards-das28", "docetaxel-neutropenia", "indirect-response-3"),
    *("one-compartment-oral", "theophylline", "carboplatin-ovarian"),
    *("antiretrovirals-cd4", "amikacin-plasma", "cefepime-plasma"),
)
SHEETS = [
    *sorted(shipped("protocols").glob("*.yaml")),
    *sorted(shipped("cohorts").glob("*.yaml")),
    *(LIBRARY / f"{name}.yaml" for name in MODELS),
]
VALUES = (
    *(".nan", ".inf", "-.inf", "1e999", "1e308", "-1e308", "1e-320", "0", "-1", "1e15"),
    *("9" * 400, "9" * 5000, "0x" + "f" * 300, "2020-13-45", "2020-01-01", "1_000"),
    *("[]", "{}", "null", "true", "''", "'x'", "[[1], [2]]", "{a: {b: 1}}", "[null]"),
    *('"a\\0b"', '"\\e[31mred"', '"\\u202e"', '"\\ud800"', "x" * 300, "../../etc", "."),
    *("<<", "=", "?", "~", "*a", "&a b", "!!int 3", "{<<: {a: 1}}", "..", "/dev/zero"),
    *("1e400 mg", "1e308 h", "every 0 h", "day 1e300", "5 mg every 1e-9 h x 9999999"),
    *("5 mg every 1 h x 999999999999", "1 mg over 0 h", "100 mg every 24 h", "day -1"),
    *("eta.CL", "t", "CL", "exp(", "1/0", "0/0", "log(-1)", "10^400", "((((((((((1"),
    *("33.3 %", "-5 %", "1e9 %", "5 pp", "a with b", "cycle 1", "mg/L", "kg^999"),
)
CHARACTERS = "\x00\x07\x1b\u202e\ufeff\t\n :#-{}[]'\"|>&*!%@`,0eE.é\U0001f48a"


def of_characters(text, rng):
    """Take away, double, change or put in a few characters."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text))
        new = rng.choice(["", text[at] * 2, rng.choice(CHARACTERS)])
        text = text[:at] + new + text[at + rng.randint(0, 1) :]
    return text


def of_lines(text, rng):
    """Take away, double, move, indent or cut lines."""
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        del lines[at : at + rng.randint(1, 5)]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at] = " " * rng.randint(1, 5) + lines[at]
    elif kind == 4:
        lines = lines[: at + 1]
    else:
        lines[at] = lines[at].replace(rng.choice(lines[at] or " "), "")
    return "\n".join(lines)


def of_entries(text, rng):
    """Put other values, or other entries of the sheet, in the place of some."""
    data = YAML(typ="rt").load(text)
    for _ in range(rng.randint(1, 2)):
        spots = list(places(data))
        node, key = rng.choice(spots)
        if rng.random() < 0.7:
            mark = f"MARK{rng.randrange(10**9)}"
            value = rng.choice(VALUES)
            node[key] = mark
            text = dumped(data).replace(mark, value)
            try:
                data = YAML(typ="rt").load(text)
            except (YAMLError, ValueError, KeyError, NotImplementedError):
                return text
        elif rng.random() < 0.5:
            other, name = rng.choice(spots)
            node[key] = copy.deepcopy(other[name])
        else:
            del node[key]
        if not data:
            break
    return dumped(data)


def places(node):
    """List everything in a sheet by what holds it and its key."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def dumped(data):
    """Write a sheet."""
    stream = io.StringIO()
    YAML(typ="rt").dump(data, stream)
    return stream.getvalue()


def looked_at(path):
    """Check a sheet; return what is wrong with how it is refused."""
    begun = time.process_time()
    try:
        check_sheet(path)
    except VtrialError as error:
        taken = time.process_time() - begun
        wrong = [f"{taken:.1f} s"] if taken > 2 else []
        for fault in error.faults:
            said = str(fault)
            wrong += [] if fault.source and fault.line else [f"no line: {said}"]
            wrong += [] if said.isprintable() else [f"not printable: {said!r}"]
            wrong += [] if len(said) < 2000 else [f"too long: {said}"]
        return wrong
    return []


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("mutate", [of_characters, of_lines, of_entries])
def test_mutants_are_in_order_or_refused_in_words(sheet, mutate, tmp_path, count):
    rng = random.Random(f"{sheet.stem} {mutate.__name__}")
    for other in [*sheet.parent.glob("*.csv")]:
        (tmp_path / other.name).write_bytes(other.read_bytes())
    path = tmp_path / "mutant.yaml"
    text = Path(sheet).read_text(encoding="utf-8")
    for _ in range(count):
        mutant = mutate(text, rng)
        path.write_text(mutant, encoding="utf-8", errors="surrogatepass")
        assert not looked_at(path), mutant


@pytest.fixture
def count(request):
    """Say how many mutants of a kind: more where slow tests run."""
    return 100 if request.config.getoption("--slow") else 3
