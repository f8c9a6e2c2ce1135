"""Reads the `policy` section: a HuJSON file as it is, fragments of one, or YAML."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconcile.desired import fragments
from reconcile.desired.files import Files, beside, folder_of
from reconcile.desired.findings import Findings
from reconcile.desired.layers import Tree
from reconcile.desired.openness import WHY, no_rules
from reconcile.desired.state import Delivery, WantedPolicy
from reconcile.errors import Diagnostic, InputError, Position
from reconcile.policy.language.fields import get
from reconcile.policy.language.render import render
from reconcile.source import hujson, text
from reconcile.source.border import identity
from reconcile.source.variables import as_written
from reconcile.source.yaml import Path as Place

_SECTION = ("policy",)
_DELIVER = ("policy", "deliver")
_UNREAD = "and nothing lets the server read it again"


def read(
    tree: Tree, files: Files, findings: Findings, release: str = ""
) -> WantedPolicy | None:
    """Return the wanted policy, or None where there is none or it cannot be read.

    `release` is that of the server, "" where nobody says it.
    """
    section: dict[str, Any] | None = tree.value.get("policy")
    if section is None:
        return None
    if section.keys() == {"deliver"}:
        findings.error(
            "RC0022",
            "policy.deliver has no policy to deliver",
            tree.locate(_DELIVER, key=True),
            help="add `file: policy.hujson`, or the policy's own words",
        )
        return None
    if "files" in section:
        policy = _fragments(tree, files, findings)
    elif "file" in section:
        policy = _file(tree, files, findings)
    else:
        policy = _inline(tree)
    # What is wrong with the form of a section was taken out of it already.
    if policy and policy.rendered and findings.failed:
        return policy
    if policy and all(get(policy.value, name) is None for name in ("acls", "grants")):
        if not section.keys() & {"file", "files"}:
            _refuse_open(section, policy, findings)
        elif _is_open(policy, release):
            _warn_open(policy, findings)
    return policy and replace(policy, deliver=_delivery(tree))


def _delivery(tree: Tree) -> Delivery | None:
    """Return how the policy gets to a server that reads it from a file."""
    said: dict[str, Any] | None = tree.value["policy"].get("deliver")
    if said is None:
        return None
    command, then = said.get("command", []), said.get("then", [])
    place = tree.locate(_DELIVER, key=True)
    if command:
        told = f"by: {_shown(command)}"
        return Delivery(told, command=tuple(command), position=place)
    folder = folder_of(tree.locate((*_DELIVER, "file")))
    told = f"to: {folder / as_written(said['file'])}"
    return Delivery(
        f"{told}, {f'then: {_shown(then)}' if then else _UNREAD}",
        file=str(folder / said["file"]),
        then=tuple(then),
        position=place,
    )


def _shown(command: list[str]) -> str:
    return shlex.join(map(as_written, command))


def _inline(tree: Tree) -> WantedPolicy:
    section: dict[str, Any] = tree.value["policy"]
    value = {name: part for name, part in section.items() if name != "deliver"}
    place = tree.locate(_SECTION, key=True)

    def locate(path: Place, key: bool = False) -> Position:
        return tree.locate((*_SECTION, *path), key)

    # An absolute path would differ from one machine to the next.
    home = Path(place.file)
    named = home.name if home.is_absolute() else str(home)
    header = f"Written by reconcile from {named}; edit it there."
    text = render(value, [header])
    return WantedPolicy(text, value, True, place, locate, inline=True)


def _file(tree: Tree, files: Files, findings: Findings) -> WantedPolicy | None:
    place = tree.locate((*_SECTION, "file"))
    path = beside(place, tree.value["policy"]["file"])
    found = _document(path, place, files, findings)
    if found is None:
        return None
    top = Position(path, 1, 1)
    return WantedPolicy(found.text, found.value, False, top, found.locate)


def _fragments(tree: Tree, files: Files, findings: Findings) -> WantedPolicy | None:
    """Read the files that the globs find, each once; a part alone is no policy."""
    list_ = (*_SECTION, "files")
    read: dict[str, hujson.Document | None] = {}
    for index, pattern in enumerate(tree.value["policy"]["files"]):
        place = tree.locate((*list_, index))
        paths = files.matching(pattern, place)
        if not paths:
            return None
        for path in paths:
            name = identity(path)
            if name not in read:
                read[name] = _document(path, place, files, findings)
    documents = [document for document in read.values() if document is not None]
    if len(documents) < len(read):
        return None
    return fragments.merge(documents, tree.origin(list_), findings)


def _document(
    path: str, place: Position, files: Files, findings: Findings
) -> hujson.Document | None:
    """Return a file with a policy or a part of one; None when it cannot be read."""
    try:
        document = hujson.parse(_text(files.bytes(path, place), path), path)
    except InputError as error:
        findings.extend(error.diagnostics)
        return None
    if isinstance(document.value, dict):
        return document
    findings.error(
        "RC0007",
        f"{path} must be a map (`{{ … }}`)",
        document.locate(()),
        help='"acls": [] in it allows nothing',
    )
    return None


def _text(data: bytes, path: str) -> str:
    content = text.decode(data, path, controls=True)
    if content.startswith(text.BOM):
        finding = Diagnostic(
            "RC0027",
            f"{path} starts with a byte order mark",
            Position(path, 1, 1),
            why="the servers refuse a policy with the mark",
            help="save it again as UTF-8 without a byte order mark",
        )
        raise InputError([finding])
    return content


def _refuse_open(
    section: dict[str, Any], policy: WantedPolicy, findings: Findings
) -> None:
    findings.error(
        "RC0116",
        "the policy has neither acls nor grants, which allows everything",
        policy.locate(()),
        why=WHY,
        **no_rules(_SECTION, section),
    )


def _is_open(policy: WantedPolicy, release: str) -> bool:
    """Tell whether a server takes a policy without rules, and opens everything."""
    from reconcile.policy.reading.reception import receive

    return any(p.rules is None for p in receive(policy.value, release).accepted)


def _warn_open(policy: WantedPolicy, findings: Findings) -> None:
    findings.warn(
        "RC0116",
        "the policy has neither acls nor grants, so it allows everything",
        policy.locate(()),
        why=WHY,
        help='to allow nothing write "acls": []',
        about=("policy",),
    )
