"""Say, after the tests, how far from other software each case was at worst.

What is noted travels with the test's report, so that it arrives from other processes,
too. Tables are in Markdown, to be copied.
"""

import pytest


@pytest.fixture
def note(request):
    """Note a worst relative error, to be printed at the end."""

    def noted(label, error):
        request.node.user_properties.append(("error", (label, float(error))))

    return noted


@pytest.fixture
def cell(request):
    """Fill a cell of a table to be printed at the end; the highest number stays."""

    def filled(table, row, column, number):
        entry = (table, row, column, float(number))
        request.node.user_properties.append(("cell", entry))

    return filled


def pytest_terminal_summary(terminalreporter):
    found = {"error": [], "cell": []}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for kind, entry in report.user_properties:
                    if kind in found:
                        found[kind].append(entry)
    if any(found.values()):
        terminalreporter.section("worst relative errors against other software")
    for label, error in found["error"]:
        terminalreporter.write_line(f"{error:9.1e}  {label}")
    for line in _tables(found["cell"]):
        terminalreporter.write_line(line)


def _tables(cells):
    """Write Markdown; whole numbers are counts, all others errors."""
    tables = {}
    for table, row, column, number in cells:
        rows = tables.setdefault(table, {})
        here = rows.setdefault(row, {})
        here[column] = max(here.get(column, number), number)
    for table, rows in tables.items():
        columns = list(dict.fromkeys(c for row in rows.values() for c in row))
        yield ""
        yield f"| {table} | " + " | ".join(columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name in sorted(rows):
            cells = [_number(rows[name].get(column)) for column in columns]
            yield f"| {name} | " + " | ".join(cells) + " |"


def _number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1 and value == int(value) else f"{value:.1e}"
