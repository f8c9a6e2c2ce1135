"""Finds the commands in what is printed, and reads them as the command line does."""

import re

import click

from reconcile.cli import cli

_ENDS = ".,;:)`"
_COMMAND = re.compile(r"\breconcile ((?:[^\n]|\n(?= ))*)")


def commands_in(text):
    """Yield the arguments of each command of ours that a text names.

    A command ends where a word cannot belong to it: `reconcile plan shows more` is
    `plan`. Words after `reconcile` that are no command are prose.
    """
    for found in _COMMAND.finditer(text):
        arguments = list(_own(found[1].split()))
        if arguments:
            yield arguments


def _own(words):
    group, left = cli, None
    for word in words:
        bare = word.rstrip(_ENDS)
        last = bare != word
        if isinstance(group, click.Group):
            group = group.commands.get(bare)
            if group is None:
                return
            left = [p for p in group.params if isinstance(p, click.Argument)]
            value_of = None
        elif value_of is not None:
            value_of = None
        elif bare.startswith("-"):
            value_of = _wants_value(group, bare)
        elif left and _is_value(bare):
            left = left if left[0].nargs == -1 else left[1:]
        else:
            return
        yield bare
        if last and value_of is None:
            return


def _wants_value(command, option):
    """Return the option if a value follows it, None for a flag; fail if unknown."""
    found = next((p for p in command.params if option in p.opts), None)
    assert found is not None, f"{command.name} has no {option}"
    return None if found.is_flag else found


def _is_value(word):
    """Tell the value of an argument from the words of the sentence that goes on."""
    return word.isupper() or any(sign in word for sign in "./:@'\"") or word == "X"


def parsed(arguments):
    """Return the context of a command line; raises click's UsageError."""
    command, rest = cli, list(arguments)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    return command.make_context(command.name, rest)
