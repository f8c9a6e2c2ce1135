"""The shapes of the bench are files that commands read, or refuse in a sentence."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.bench import bounds

SMALL = 3000
NAMES = ("one line of users", "mistakes", "aliases of a long text", "groups", "rules")
# What grew with the square of its size once.
GREW = (
    "servers",
    "equal rules",
    "rules of one source",
    "wrong rules",
    "chain of tag owners",
)


@pytest.fixture
def run(monkeypatch, command, tmp_path) -> Callable[..., Any]:
    """Return a function that runs a shape of some bytes: code, output, errors."""

    def run(name: str, size: int) -> Any:
        monkeypatch.setattr(bounds, "SIZE", size)
        monkeypatch.setattr(bounds.filled, "__defaults__", (size, ""))
        shapes = dict(shape for group in bounds.SHAPES for shape in group())
        files, arguments = shapes[name]
        for file, text in files.items():
            (tmp_path / file).write_text(text)
        return command(*arguments)

    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_small_file_of_a_shape_is_read(run, name):
    code, out, err = run(name, SMALL)
    assert code in (0, 1)
    assert "Traceback" not in out + err
    assert ("Valid" in out) == (code == 0)


@pytest.mark.parametrize("name", GREW)
def test_a_file_of_twice_the_size_takes_twice_the_steps(run, name):
    run(name, SMALL)  # what is imported and made once
    few, many = (_steps(lambda size=size: run(name, size)) for size in (8000, 16000))
    assert many < 2.6 * few


def _steps(action: Callable[[], object]) -> int:
    """Count the calls of functions, those of built-in ones as well."""
    count = 0

    def step(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(step)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count
