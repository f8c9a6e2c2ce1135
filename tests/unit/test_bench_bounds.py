"""The shapes of the bench are files that commands read, or refuse in a sentence."""

import pytest

from tests.bench import bounds

SMALL = 3000
NAMES = ("one line of users", "mistakes", "aliases of a long text", "groups", "rules")


@pytest.mark.parametrize("name", NAMES)
def test_a_small_file_of_a_shape_is_read(monkeypatch, command, tmp_path, name):
    monkeypatch.setattr(bounds, "SIZE", SMALL)
    monkeypatch.setattr(bounds.filled, "__defaults__", (SMALL, ""))
    shapes = dict(shape for group in bounds.SHAPES[:2] for shape in group())
    files, arguments = shapes[name]
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    code, out, err = command(*arguments)
    assert code in (0, 1)
    assert "Traceback" not in out + err
    assert ("Valid" in out) == (code == 0)
