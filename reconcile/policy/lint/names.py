"""Names that nothing uses, and names that stand twice where once is enough."""

from collections.abc import Callable, Collection, Iterator, Mapping

from reconcile.policy.language.document import Policy, Problem
from reconcile.policy.language.fields import (
    Path,
    entries,
    find,
    rules,
    section_name,
    strings,
)
from reconcile.policy.language.references import References
from reconcile.policy.lint.findings import TWICE, UNUSED, finding

_SECTIONS = {"group": "groups", "host": "hosts", "tag": "tagOwners"}
_LISTS = (
    ("acls", "src"),
    ("acls", "dst"),
    ("grants", "src"),
    ("grants", "dst"),
    ("ssh", "src"),
    ("ssh", "dst"),
)


def unused(names: References, worn: Collection[str]) -> Iterator[Problem]:
    """Yield the groups, hosts and tags that nothing uses.

    `worn` are the tags that nodes have or are to have.
    """
    for kind in ("group", "host", "tag"):
        for name, path in names.unused(kind).items():
            if name not in worn:
                yield finding(
                    UNUSED,
                    f"nothing uses {name}",
                    path,
                    key=True,
                    why="no rule names it"
                    + (", and no node wears it" if kind == "tag" else ""),
                    help=f"remove it from {_SECTIONS[kind]}, or use it in a rule",
                    cut=True,
                )


def twice(policy: Policy, same: Callable[[str], str] = str) -> Iterator[Problem]:
    """Yield names that a group, or a list of a rule, holds twice.

    `same(token)` gives two tokens of one user the same text.
    """
    for path, name, members in entries(policy.value, "groups"):
        yield from _repeated(f"{name} names", path, members, {}, same)
    for section, field in _LISTS:
        if section not in policy.release.sections:
            continue
        groups = policy.groups if field == "src" else {}
        for path, rule in rules(policy.value, section):
            found = find(rule, field)
            if found:
                where = f"{section_name(str(path[0]))}[{path[1]}].{field} names"
                here = (*path, found[0])
                yield from _repeated(where, here, found[1], groups, same)


def _repeated(
    where: str,
    path: Path,
    members: object,
    groups: Mapping[str, tuple[str, ...]],
    same: Callable[[str], str],
) -> Iterator[Problem]:
    """Yield what a list repeats, by itself or through a group that it names too."""
    texts = list(strings(path, members))
    if len(texts) < 2:
        return
    seen: dict[str, tuple[Path, str]] = {}
    held = {
        same(member): (at, text.strip())
        for at, text in texts
        for member in groups.get(text.strip(), ())
    }
    for at, text in texts:
        token = text.strip()
        who = same(token)
        if who in seen:
            first, other = seen[who]
            spelled = "" if other == token else f", once as {other}"
            message = f"{where} {token} twice{spelled}"
        elif who in held:
            first, group = held[who]
            message = f"{where} {token}, whom {group} holds already"
        else:
            seen[who] = at, token
            continue
        help = "remove it here: once is enough"
        related = ((first, "named here already"),)
        yield finding(TWICE, message, at, help=help, related=related, cut=True)
