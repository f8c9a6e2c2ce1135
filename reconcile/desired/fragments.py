"""Puts a policy together from files that each hold a part of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path as FilePath

from reconcile.desired.files import folder_of
from reconcile.desired.findings import Findings
from reconcile.desired.layers import Form, Origin, Tree, add
from reconcile.desired.state import WantedPolicy
from reconcile.policy.language.fields import APPROVERS, RULES, field_name, section_name
from reconcile.policy.language.render import render
from reconcile.source.hujson import Document
from reconcile.source.yaml import Path

_BY_NAME = ("groups", "hosts", "ipsets", "postures", "tagOwners", "autoApprovers")


def _spelled(path: Path, name: str) -> str:
    """Return how a field is spelled, and the names that people choose as they are."""
    if path == ():
        return section_name(name)
    return field_name("autoApprovers", name) if path == ("autoApprovers",) else name


_FORM = Form(
    maps=frozenset(
        {(), *((name,) for name in _BY_NAME)}
        | {("autoApprovers", name) for name in APPROVERS if name != "exitNode"}
    ),
    lists=frozenset({("autoApprovers", "exitNode"), *((name,) for name in RULES)}),
    spelled=_spelled,
)


def merge(
    documents: Sequence[Document], named: tuple[Origin, Path], findings: Findings
) -> WantedPolicy:
    """Return the policy that the fragments make together, in their order.

    `named` leads to the place that names them, where everything stands that is in
    none of them. What two of them say goes to `findings`. Comments are left behind:
    they speak to the readers of a fragment.
    """
    tree = Tree(origins={(): named})
    for document in documents:
        add(tree, document.value, document, _FORM, findings)
    place = tree.locate(())
    text = render(tree.value, _header(documents, folder_of(place)))
    return WantedPolicy(text, tree.value, True, place, tree.locate)


def _header(documents: Iterable[Document], folder: FilePath) -> list[str]:
    names = [f"  {_shown(document.file, folder)}" for document in documents]
    return ["Written by reconcile; edit it in the files that it is from:", *names]


def _shown(file: str, folder: FilePath) -> str:
    """Return a name that is the same on every machine, and stays a comment."""
    path = FilePath(file)
    within = path.is_relative_to(folder)
    name = str(path.relative_to(folder)) if within else path.name
    return "".join(c if c.isprintable() else "?" for c in name)
