"""Reads the `policy` section: a HuJSON file as it is, fragments of one, or YAML."""

from pathlib import Path
from typing import Any

from reconcile import hujson, text
from reconcile.desired import fragments
from reconcile.desired.files import Files, folder_of
from reconcile.desired.findings import Findings
from reconcile.desired.layers import Tree
from reconcile.desired.state import WantedPolicy
from reconcile.errors import Diagnostic, InputError, Position
from reconcile.policy.fields import get
from reconcile.policy.render import render
from reconcile.source import Path as Place

_SECTION = ("policy",)
_OPEN = "Headscale from 0.27 on lets every node reach every other one then"


def read(tree: Tree, files: Files, findings: Findings) -> WantedPolicy | None:
    """Return the wanted policy, or None where there is none or it cannot be read."""
    section: dict[str, Any] | None = tree.value.get("policy")
    if section is None:
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
        _warn_open(policy, findings)
    return policy


def _inline(tree: Tree) -> WantedPolicy:
    value: dict[str, Any] = tree.value["policy"]
    place = tree.locate(_SECTION, key=True)

    def locate(path: Place, key: bool = False) -> Position:
        return tree.locate((*_SECTION, *path), key)

    # An absolute path would differ from one machine to the next.
    home = Path(place.file)
    named = home.name if home.is_absolute() else str(home)
    header = f"Written by reconcile from {named}; edit it there."
    return WantedPolicy(render(value, [header]), value, True, place, locate)


def _file(tree: Tree, files: Files, findings: Findings) -> WantedPolicy | None:
    place = tree.locate((*_SECTION, "file"))
    path = str(folder_of(place) / tree.value["policy"]["file"])
    found = _document(path, place, files, findings)
    if found is None:
        return None
    top = Position(path, 1, 1)
    return WantedPolicy(found.text, found.value, False, top, found.locate)


def _fragments(tree: Tree, files: Files, findings: Findings) -> WantedPolicy | None:
    """Read the files that the globs find, each once; a part alone is no policy."""
    list_ = (*_SECTION, "files")
    read: dict[Path, hujson.Document | None] = {}
    for index, pattern in enumerate(tree.value["policy"]["files"]):
        place = tree.locate((*list_, index))
        paths = files.matching(pattern, place)
        if not paths:
            return None
        for path in paths:
            identity = Path(path).resolve()
            if identity not in read:
                read[identity] = _document(path, place, files, findings)
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


def _warn_open(policy: WantedPolicy, findings: Findings) -> None:
    findings.warn(
        "RC0116",
        "the policy has neither acls nor grants, so it allows everything",
        policy.locate(()),
        why=_OPEN,
        help='to allow nothing write "acls": []',
    )
