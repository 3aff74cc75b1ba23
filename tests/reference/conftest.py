"""Say, after the tests, how far from other software each suite was at worst."""

import pytest

ERRORS = pytest.StashKey[dict[str, float]]()


@pytest.fixture
def note(request):
    """Note a worst relative error, to be printed at the end."""

    def noted(label, error):
        request.config.stash.setdefault(ERRORS, {})[label] = float(error)

    return noted


def pytest_terminal_summary(terminalreporter, config):
    errors = config.stash.get(ERRORS, {})
    if errors:
        terminalreporter.section("worst relative errors against other software")
    for label, error in errors.items():
        terminalreporter.write_line(f"{error:9.1e}  {label}")
