"""YAML text to plain values, with the position of every one of them.

Only a small, JSON-like part of YAML is read: plain `true`, `false`, `null` and JSON
numbers are special, everything else is text, so `no`, `012`, `1:30` and dates are
text. Keys are always text. The node tree that PyYAML makes is kept, and a position is
looked up only when somebody asks for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import yaml

from reconcile.errors import (
    MOST_ERRORS,
    Diagnostic,
    InputError,
    Position,
    Related,
    too_many,
)
from reconcile.source.text import BOM, Lines
from reconcile.source.variables import fill_in, quoted
from reconcile.source.yaml_problems import explain

Path = tuple[str | int, ...]

MAX_DEPTH = 64
LONGEST = 10_000  # characters of a text, as in what servers list
_PREFIX = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT = _PREFIX + "str", _PREFIX + "int", _PREFIX + "float"
_NULL, _BOOL, _MERGE = _PREFIX + "null", _PREFIX + "bool", _PREFIX + "merge"
_SEQ, _MAP = _PREFIX + "seq", _PREFIX + "map"
_SPECIAL = {
    "": _NULL,
    "~": _NULL,
    "null": _NULL,
    "true": _BOOL,
    "false": _BOOL,
    "<<": _MERGE,
}
_NUMBER = re.compile(
    r"-?(?:0|[1-9][0-9]{0,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?", re.ASCII
)


@dataclass(slots=True)
class Source:
    """A YAML file that was read: its value, and where each part of it stands.

    `findings` do not stop the reading: repeated keys, custom tags. `nulls` are the
    paths where a null stands, `refused` those of what YAML allows and this does not;
    `unset` holds a path and a finding for each variable without a value.
    """

    file: str
    value: Any
    findings: list[Diagnostic] = field(default_factory=list)
    nulls: list[Path] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)
    unset: list[tuple[Path, Diagnostic]] = field(default_factory=list)
    _root: yaml.Node | None = None
    _lines: Lines = field(default_factory=lambda: Lines("", ""))
    _texts: dict[int, str] = field(default_factory=dict)
    _children: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = field(
        default_factory=dict
    )

    def locate(self, path: Path, key: bool = False) -> Position:
        """Return the position of the value at a path, or of the key before it.

        Where the path leads to nothing, the nearest place above it is returned.
        """
        name, node = None, self._root
        for step in path:
            found = self._step(node, step)
            if found is None:
                break
            name, node = found
        return self._position(name if key and name else node)

    def _step(
        self, node: yaml.Node | None, step: str | int
    ) -> tuple[yaml.Node | None, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode) and isinstance(step, str):
            return self._members(node).get(step)
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            return (None, node.value[step]) if step < len(node.value) else None
        return None

    def _members(
        self, node: yaml.MappingNode
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        known = self._children.get(id(node))
        if known is None:
            known = {}
            for name, value in node.value:
                if name.tag == _MERGE:
                    for merged in value.value if value.tag == _SEQ else [value]:
                        for key, pair in self._members(merged).items():
                            known.setdefault(key, pair)
            for name, value in node.value:
                if isinstance(name, yaml.ScalarNode):
                    written: str = name.value
                    known[self._texts.get(id(name), written)] = (name, value)
            self._children[id(node)] = known
        return known

    def _position(self, node: yaml.Node | None) -> Position:
        if node is None:
            return Position(self.file, 1, 1)
        return _where(node, self._lines)


def parse(text: str, file: str, environ: Mapping[str, str] | None = None) -> Source:
    """Read one YAML document; `${VAR}` in any scalar is filled in from `environ`.

    Raises InputError when the text is no YAML at all, or a kind of YAML that is
    dangerous to go on with: nested too deeply, or aliases that explode.
    """
    lines = Lines(text.removeprefix(BOM), file)
    root = _compose(lines)
    if root is None:
        return Source(file, None, _lines=lines)
    reader = _Reader(lines, environ or {})
    value = reader.value(root)
    paths = _paths(root, reader.nulls | reader.refused | reader.unset.keys())
    source = Source(
        file,
        value,
        reader.findings,
        [path for node, path in paths if node in reader.nulls],
        [path for node, path in paths if node in reader.refused],
        [(path, reader.unset[node]) for node, path in paths if node in reader.unset],
        root,
        lines,
        reader.texts,
    )
    if lines.text != text:
        source.findings.append(_byte_order_mark(file))
    return source


def _byte_order_mark(file: str) -> Diagnostic:
    return Diagnostic(
        "RC0027",
        f"{file} starts with a byte order mark",
        Position(file, 1, 1),
        severity="warning",
        help="it is ignored; save the file as UTF-8 without a mark",
        about=(file,),
    )


class _TooDeep(Exception):
    """The nesting limit was passed; holds the offset of the last level."""


class _Loader(yaml.CSafeLoader):
    """Composes nodes only: few implicit types, a bound on depth."""

    depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _: object) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooDeep(parent.start_mark.index if parent else 0)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(
        self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]
    ) -> str:
        if kind is not yaml.ScalarNode:
            return _SEQ if kind is yaml.SequenceNode else _MAP
        return _plain_tag(value) if implicit[0] else _STR


def _plain_tag(value: str) -> str:
    """Return the type of a scalar without quotes, by JSON's rules."""
    special = _SPECIAL.get(value)
    if special:
        return special
    if value[0] in "-0123456789":
        number = _NUMBER.fullmatch(value)
        if number:
            return _FLOAT if number.lastindex else _INT
    return _STR


def is_plain_text(value: str) -> bool:
    """Tell whether a scalar without quotes is text, and no number, null or boolean."""
    return _plain_tag(value) == _STR


def _compose(lines: Lines) -> yaml.Node | None:
    """Return the node tree of a text, or None when it is empty."""
    try:
        loader = _Loader(lines.text)
        try:
            node: yaml.Node | None = loader.get_single_node()
            _forget_marks(node)
        finally:
            loader.dispose()
    except _TooDeep as error:
        place = lines.position(error.args[0], error.args[0] + 1)
        message = f"nested more than {MAX_DEPTH} levels deep"
        raise InputError([Diagnostic("RC0021", message, place)]) from None
    except yaml.MarkedYAMLError as error:
        raise InputError([_syntax_error(error, lines)]) from None
    except yaml.YAMLError as error:
        place = lines.position(getattr(error, "position", 0), 0)
        message = str(getattr(error, "reason", error))
        raise InputError([Diagnostic("RC0004", message, place)]) from None
    return node


def _where(node: yaml.Node, lines: Lines) -> Position:
    start, length = cast(int, node.start_mark), cast(int, node.end_mark)
    return lines.position(start, start + length)


def _forget_marks(root: yaml.Node | None) -> None:
    """Replace each node's marks, a third of the tree, by its offset and its length.

    Python keeps one object for each small number, so that a length takes no memory.
    """
    left = [root] if root else []
    while left:
        node = left.pop()
        if type(node.start_mark) is int:
            continue  # an alias: the node was here before
        start, end = node.start_mark.index, node.end_mark.index
        node.start_mark, node.end_mark = start, end - start
        if type(node) is yaml.SequenceNode:
            left += node.value
        elif type(node) is yaml.MappingNode:
            for pair in node.value:
                left += pair


def _syntax_error(error: yaml.MarkedYAMLError, lines: Lines) -> Diagnostic:
    mark = error.problem_mark or error.context_mark
    context = error.context_mark
    return explain(
        error.problem or "not valid YAML",
        lines,
        mark.index if mark else 0,
        context.index if context and context is not mark else None,
    )


class _Reader:
    """Turns nodes into plain values, and notes what is odd on the way.

    `nulls`, `refused` and `unset` hold the ids of nodes, `texts` the text of each
    scalar that held a variable.
    """

    def __init__(self, lines: Lines, environ: Mapping[str, str]) -> None:
        self.findings: list[Diagnostic] = []
        self.nulls: set[int] = set()
        self.refused: set[int] = set()
        self.unset: dict[int, Diagnostic] = {}
        self.texts: dict[int, str] = {}
        self._firsts: dict[int, dict[str, yaml.Node]] = {}
        self._lines = lines
        self._environ = environ
        # What the values may hold: without aliases and variables a text never has
        # more characters, nor more nodes, than it is long.
        self._budget = 2 * len(lines.text) + 1_000_000
        self._depth = 0

    def value(self, node: yaml.Node) -> Any:
        """Return the plain value of a node."""
        if isinstance(node, yaml.ScalarNode):
            scalar = self._scalar(node)
            self._pay(scalar if isinstance(scalar, str) else "", node)
            return scalar
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError([self._explosion(node)])
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node)
        else:
            value = [self.value(item) for item in node.value]
        if node.tag not in (_MAP, _SEQ):
            self._refuse_tag(node)
        self._depth -= 1
        self._pay("", node)
        return value

    def _pay(self, text: str, node: yaml.Node) -> None:
        """Count a value; aliases and variables must not make a file far larger."""
        if len(text) > LONGEST:
            raise InputError([self._too_long(text, node)])
        self._budget -= len(text) + 1
        if self._budget < 0:
            raise InputError([self._explosion(node)])

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag, node.value
        if tag == _STR:
            return self._expand(node) if "$" in text else text
        if tag == _MERGE:
            return text
        if _plain_tag(text) != tag:
            self._refuse_tag(node)
            return text
        if tag == _NULL:
            self.nulls.add(id(node))
            return None
        if tag == _BOOL:
            return text == "true"
        return int(text) if tag == _INT else float(text)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        value: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for name, child in node.value:
            if name.tag == _MERGE:
                merged += child.value if child.tag == _SEQ else [child]
                continue
            if not isinstance(name, yaml.ScalarNode):
                self._note(self._finding(name, "a key must be text"))
                continue
            key = self._expand(name) if "$" in name.value else name.value
            self._pay(key, name)
            if key in value:
                self._repeated(node, name, key)
            elif child.tag == _STR and "$" not in child.value:
                self._pay(child.value, child)
                value[key] = child.value
            else:
                value[key] = self.value(child)
        for child in merged:
            self._merge(value, child)
        return value

    def _merge(self, value: dict[str, Any], node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._note(self._finding(node, "`<<` merges maps only"))
            return
        for key, item in self.value(node).items():
            value.setdefault(key, item)

    def _expand(self, node: yaml.ScalarNode) -> str:
        known = self.texts.get(id(node))
        if known is None:
            known = self.texts[id(node)] = self._fill_in(node)
        return known

    def _fill_in(self, node: yaml.ScalarNode) -> str:
        text, problem = fill_in(node.value, self._environ)
        if problem:
            self.unset[id(node)] = replace(problem, position=self._position(node))
        return text

    def _repeated(self, node: yaml.MappingNode, again: yaml.Node, key: str) -> None:
        place = self._position(self._first_names(node)[key])
        self._note(
            Diagnostic(
                "RC0020",
                f"the key {quoted(key)} is repeated",
                self._position(again),
                label="here again",
                why="only one of them could count",
                help="merge the two, or remove one",
                related=(Related(place, "first here"),),
            )
        )

    def _first_names(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        """Return where each key of a map stands first."""
        known = self._firsts.get(id(node))
        if known is None:
            known = self._firsts[id(node)] = {}
            for name, _ in node.value:
                if isinstance(name, yaml.ScalarNode):
                    written: str = name.value
                    known.setdefault(self.texts.get(id(name), written), name)
        return known

    def _refuse_tag(self, node: yaml.Node) -> None:
        self.refused.add(id(node))
        tag = node.tag.replace(_PREFIX, "!!")
        finding = self._finding(node, f"the YAML tag {quoted(tag)} is not supported")
        self._note(finding)

    def _explosion(self, node: yaml.Node) -> Diagnostic:
        return Diagnostic(
            "RC0021",
            "aliases or variables make this file far larger than it is",
            self._position(node),
            help="write out what the aliases (`*name`) and variables stand for",
        )

    def _too_long(self, text: str, node: yaml.Node) -> Diagnostic:
        return Diagnostic(
            "RC0033",
            f"a text of {len(text):,} characters",
            self._position(node),
            why=f"names, commands and other texts have {LONGEST:,} at most",
            help="shorten it; a policy may be in a file of its own: "
            "`policy: { file: policy.hujson }`",
        )

    def _note(self, finding: Diagnostic) -> None:
        self.findings.append(finding)
        if len(self.findings) > MOST_ERRORS:
            raise too_many(self.findings)

    def _finding(self, node: yaml.Node, message: str) -> Diagnostic:
        return Diagnostic("RC0021", message, self._position(node))

    def _position(self, node: yaml.Node) -> Position:
        return _where(node, self._lines)


def _paths(root: yaml.Node, wanted: set[int]) -> list[tuple[int, Path]]:
    """Return the first path to each of the wanted nodes, in the order of the text."""
    found: list[tuple[int, Path]] = []
    seen: set[int] = set()

    def walk(node: yaml.Node, path: Path) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        if id(node) in wanted:
            found.append((id(node), path))
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if id(name) in wanted:
                    found.append((id(name), (*path, str(name.value))))
                walk(value, (*path, str(name.value)))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*path, index))

    if wanted:
        walk(root, ())
    return found
