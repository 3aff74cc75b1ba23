"""A run's folder: what can be none is told, and nothing is left behind."""

import pytest

from vtrial.conduct.folder import locked
from vtrial.errors import StoreError


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "x/" * 3000, "\ud800"])
def test_a_folder_that_cannot_be_is_told(name, tmp_path):
    with (
        pytest.raises(StoreError, match="not to be written") as told,
        locked(tmp_path / name),
    ):
        raise AssertionError
    assert str(told.value).isprintable()
    assert not list(tmp_path.iterdir())


def test_a_folder_in_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("held")
    with (
        pytest.raises(StoreError, match="not to be written"),
        locked(tmp_path / "file" / "out"),
    ):
        raise AssertionError
    assert (tmp_path / "file").read_text() == "held"
