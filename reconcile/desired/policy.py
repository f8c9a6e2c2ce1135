"""Reads the `policy` section: a HuJSON file byte for byte, or the policy in YAML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconcile import hujson, text
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
    policy = _file(tree, files, findings) if "file" in section else _inline(tree)
    # What is wrong with the form of a section was taken out of it already.
    if policy and policy.inline and findings.failed:
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
    named = tree.value["policy"]["file"]
    path = str(folder_of(place) / named)
    try:
        content = _text(files.bytes(path, place), path)
        document = hujson.parse(content, path)
    except InputError as error:
        findings.extend(error.diagnostics)
        return None
    top = Position(path, 1, 1)
    if not isinstance(document.value, dict):
        findings.error(
            "RC0007",
            f"{path} must be a map (`{{ … }}`)",
            document.locate(()),
            help='"acls": [] in it allows nothing',
        )
        return None
    locate: Callable[..., Position] = document.locate
    return WantedPolicy(content, document.value, False, top, locate)


def _text(data: bytes, path: str) -> str:
    content = text.decode(data, path, controls=True)
    if content.startswith(text.BOM):
        finding = Diagnostic(
            "RC0027",
            f"{path} starts with a byte order mark",
            Position(path, 1, 1),
            why="the file is sent byte for byte, and the server refuses the mark",
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
