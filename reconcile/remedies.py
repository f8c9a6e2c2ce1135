"""Remedies as data: the edits and commands that a help text offers.

A help text is written from these, so that what is read is what was meant; the tests
make each edit and check that the finding is gone and that nothing else moved.
"""

import json
import shlex
from dataclasses import dataclass
from typing import TypedDict

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """Write a value (YAML on one line) at a path of the desired state.

    With `file`, a policy file, the path and the value (JSON) are those of the policy.
    """

    path: Path
    value: str
    file: str = ""

    def __str__(self) -> str:
        if self.file:
            return f"{json.dumps(self.path[-1])}: {self.value}"
        return f"`{self.path[-1]}: {self.value}`"


@dataclass(frozen=True, slots=True)
class Add:
    """Append items (YAML, each on one line) to the list at a path."""

    path: Path
    items: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.items)


@dataclass(frozen=True, slots=True)
class Drop:
    """Take away what stands at a path; the words of the help say so."""

    path: Path


@dataclass(frozen=True, slots=True)
class Rename:
    """Call the key at the end of a path by another name."""

    path: Path
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Instead:
    """Write a text in the place of the one that the finding marks."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Reword:
    """Write a word in the place of another one, inside of what the finding marks."""

    old: str
    new: str

    def __str__(self) -> str:
        return self.new


@dataclass(frozen=True, slots=True)
class Cut:
    """Take away what the finding marks: an item of a list, or a name with its value."""


@dataclass(frozen=True, slots=True)
class Command:
    """Run this program with other arguments."""

    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"reconcile {shlex.join(self.arguments)}"


Edit = Put | Add | Drop | Rename | Instead | Reword | Cut
# One way out: a command, or all of some edits. A finding may offer several.
Way = Command | tuple[Edit, ...]


class Help(TypedDict, total=False):
    """What a finding says of its way out: the words, and the same as data."""

    help: str
    ways: tuple[Way, ...]
