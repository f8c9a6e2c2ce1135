"""Every command that a message names is one that the command line takes."""

import ast
from pathlib import Path

import pytest

from tests.commands import commands_in, parsed

PACKAGE = Path(__file__).parents[2] / "reconcile"


def texts():
    """Yield each text in the program with its place, X for what is filled in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        inner = set()
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in node.values}
                yield place, "".join(map(_filled, node.values))
            elif id(node) not in inner and isinstance(node, ast.Constant):
                yield place, str(node.value)


def _filled(part):
    if isinstance(part, ast.Constant):
        return part.value
    return "X X" if "shlex.join" in ast.unparse(part) else "X"


TOLD = [
    pytest.param(arguments, id=f"{place} {' '.join(arguments)}")
    for place, text in texts()
    for arguments in commands_in(text)
]


def test_many_are_told():
    assert len(TOLD) > 30


@pytest.mark.parametrize("arguments", TOLD)
def test_it_parses(arguments):
    assert parsed(arguments).command.name in arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("reconcile plan shows more", ["plan"]),
        ("with: reconcile snapshot -o FILE), or", ["snapshot", "-o", "FILE"]),
        ("`reconcile import` writes", ["import"]),
        ("reconcile apply --ours. The server", ["apply", "--ours"]),
        ("reconcile access who tag:db:22; else", ["access", "who", "tag:db:22"]),
        ("reconcile supports them", None),
    ],
)
def test_where_a_command_ends(text, arguments):
    assert next(commands_in(text), None) == arguments


def test_an_option_that_there_is_not_is_found():
    with pytest.raises(AssertionError, match="plan has no --all"):
        next(commands_in("reconcile plan --all"))
