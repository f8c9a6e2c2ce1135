"""`access`: who can reach what, why, and what a change would open. Only reads."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconcile.cli import options
from reconcile.cli.terminal import out, paint
from reconcile.errors import Exit, ReconcileError, UsageError
from reconcile.source.variables import quoted

if TYPE_CHECKING:
    from reconcile.jobs.access import Inquiry
    from reconcile.policy.access.access import Access
    from reconcile.policy.access.entries import Entry
    from reconcile.policy.access.traffic import Traffic
    from reconcile.policy.meaning.tailnet import Machine
    from reconcile.report.access import Told
    from reconcile.review.state import Scene

_F = TypeVar("_F", bound=Callable[..., Any])
_PICTURES = ("mermaid", "dot")
_MOST_ARROWS = 60
_ALIKE = 0.7  # how much of a name must be right for the other to be proposed
_NAMED = 12
# What stands before a colon that is a part of a name.
_KINDS = frozenset({"tag", "group", "autogroup", "node", "user", "ipset", "svc"})
_EG = "write tag:db:5432, nas:ssh or [fd7a::1]:443"


def answering(*pictures: str) -> Callable[[_F], _F]:
    """Add the flags that choose users, nodes and policy, and the form of answers.

    `pictures` are forms besides text and JSON.
    """
    formats = click.Choice(["text", "json", *pictures])
    added = (
        click.option("--format", "format_", type=formats, default="text"),
        click.option(
            "--live", is_flag=True, help="As the server is now, not as the files say."
        ),
        options.snapshot,
        options.live,
    )

    def decorate(command: _F) -> _F:
        for option in added:
            command = option(command)
        return command

    return decorate


@click.group()
def access() -> None:
    """Tell who can reach what, why, and what a change opens. Changes nothing.

    Names are those of the policy (alice@, group:x, tag:x, autogroup:x), of nodes
    (node:nas or nas), addresses, and internet for what is behind exit nodes. A port
    is 443, 8000-8100, 53/udp, * for every port, icmp, ssh for logging in, or the name
    of a capability; without one every port is meant.
    """


@access.command("list")
@click.option("-s", "--source", metavar="NAME", help="Only from there.")
@click.option("-d", "--to", "target", metavar="NAME", help="Only to there.")
@click.option("--port", metavar="PORT", help="Only this port: 443, 53/udp.")
@options.full
@options.members
@answering(*_PICTURES)
def list_(
    source: str | None,
    target: str | None,
    port: str | None,
    full: bool,
    members: bool,
    format_: str,
    **flags: Any,
) -> int:
    """List who reaches what, grouped by the names that people use."""
    wanted = _traffic(port) if port is not None else None
    _require_snapshot(flags["snapshot"])
    names = [name for name in (source, target) if name is not None]
    asked, found = _asked(names, wanted, **flags)
    sides = [-1 if n is None else _find(found, n) for n in (source, target)]
    entries = found.entries(sides[0], sides[1], wanted, words=names)
    shape = _Shape(asked.title, format_, full, members)
    return _entries(asked, found, entries, names, shape)


def _require_snapshot(path: str | None) -> None:
    """Raise UsageError for a source after --from, which meant a source here once."""
    if path is not None and path != "-" and not Path(path).exists():
        raise UsageError(
            f"there is no snapshot {path}",
            f"a source is named with: --source {shlex.quote(path)}",
        )


@access.command()
@click.argument("target", metavar="DST[:PORT]")
@options.full
@options.members
@answering(*_PICTURES)
def who(target: str, full: bool, members: bool, format_: str, **flags: Any) -> int:
    """List who reaches a destination on a port, on some of several, or on any."""
    name, port = _destination(target)
    asked, found = _asked([name], port, **flags)
    entries = found.entries(-1, _find(found, name), port, words=[name])
    shape = _Shape(f"{asked.title}, to {target}", format_, full, members)
    return _entries(asked, found, entries, [name], shape)


@access.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST[:PORT]")
@answering()
def why(source: str, target: str, format_: str, **flags: Any) -> int:
    """Say by which rules a source reaches a port, or which come nearest.

    Of several ports the answer is yes when all are open, and in part when some are.
    """
    from reconcile.report.access import why_json, why_text
    from reconcile.report.json_plan import write
    from reconcile.report.ping import ping_text

    told = _told(source, target, **flags)
    if format_ == "json":
        out(write(why_json(told)))
    elif told.icmp:
        out(ping_text(told, told.icmp, paint()))
    else:
        out(why_text(told, paint()))
    return Exit.OK


def _told(source: str, target: str, **flags: Any) -> "Told":
    """Return all that the answer to "why" is made of."""
    from reconcile.policy.access.claims import SSH
    from reconcile.policy.access.traffic import ANY_TRAFFIC, Traffic
    from reconcile.policy.access.ways import ways
    from reconcile.report.access import Told

    name, port = _destination(target)
    asked, found = _asked([source, name], port, **flags)
    sides = _find(found, source), _find(found, name)
    scene = _concerned(asked.scene, found, sides[0] | sides[1])
    login = port == Traffic(word=SSH)
    return Told(
        f"{source} -> {target} on {asked.title}",
        found.why(source, name, ANY_TRAFFIC if port.is_ping else port),
        ways(found, *sides),
        scene,
        {**found.unsure, **scene.unsure},
        port=found.why(source, name, 22) if login else None,
        icmp=found.why(source, name, port) if port.is_ping else None,
    )


@access.command()
@click.argument("node", metavar="NODE")
@answering()
def sees(node: str, format_: str, **flags: Any) -> int:
    """List the peers, routes and exit nodes that the server shows to a node, and why.

    A rule that leads to a peer or from it makes both visible to each other: being
    shown is not access. `access why` tells what is open.
    """
    from reconcile.policy.access.offers import Offers
    from reconcile.report.json_plan import write
    from reconcile.report.sees import View, sees_json, sees_text

    asked, found = _asked([node], None, **flags)
    if asked.scene.policy.release.hosted:
        raise ReconcileError(
            "what Tailscale's own server shows to a node is not known here",
            "what is open there: reconcile access list --source NODE",
        )
    machine = _only_node(found, node)
    offers = Offers(asked.scene.policy, asked.scene.tailnet, found.world.resolver)
    peers = offers.peers(machine)
    view = View(
        asked.title,
        asked.scene,
        machine,
        peers,
        list(offers.withheld(machine, peers)),
        {**found.unsure, **asked.scene.unsure},
        offers.remarks,
    )
    out(write(sees_json(view)) if format_ == "json" else sees_text(view, paint()))
    return Exit.OK


@access.command()
@click.argument("snapshots", nargs=-1, metavar="[SNAPSHOT SNAPSHOT]")
@click.option("--before", metavar="FILE", help="A policy file, with --after.")
@click.option("--after", metavar="FILE", help="The policy file to compare it with.")
@options.full
@options.members
@answering(*_PICTURES)
def diff(
    snapshots: tuple[str, ...],
    before: str | None,
    after: str | None,
    full: bool,
    members: bool,
    format_: str,
    **flags: Any,
) -> int:
    """Tell who gains and who loses access: the live state against the files.

    With two snapshots, what changed between them; with --before and --after, what
    one policy allows and the other does not, in the live tailnet.
    """
    from reconcile.jobs import access as inquiry
    from reconcile.report.effect import as_json, section, total
    from reconcile.report.json_plan import write
    from reconcile.report.safe import safe

    if flags.pop("live") or len(snapshots) not in (0, 2) or bool(before) != bool(after):
        raise UsageError(
            "access diff compares two things",
            "give two snapshots, or --before FILE --after FILE, or nothing for the "
            "live state against the files",
        )
    chosen = options.collect(**flags)
    if len(snapshots) == 2:
        title, effect = inquiry.snapshots_effect(*snapshots)
    elif before and after:
        title, effect = inquiry.policies_effect(chosen, before, after)
    else:
        title, effect = inquiry.desired_effect(chosen)
    if format_ == "json":
        out(write({"title": title, **(as_json(effect, members) or {})}))
    elif format_ in _PICTURES:
        from reconcile.report import graph

        most = None if full else _MOST_ARROWS
        out(graph.FORMS[format_](graph.of_effect(effect, title, most)))
    else:
        told = section(effect, paint(), full=full, members=members)
        lines = [safe(title), *told]
        out("\n".join([*lines, total([effect]).strip()]) + "\n")
    return Exit.ERROR if effect.failure else Exit.OK


for _command in (list_, who, why, sees, diff):
    options.output(_command)


def _traffic(text: str) -> "Traffic":
    from reconcile.policy.access.traffic import FORMS, traffic

    try:
        return traffic(text)
    except ValueError:
        raise UsageError(f"{quoted(text)} is not a port", FORMS) from None


def _destination(text: str) -> tuple[str, "Traffic"]:
    """Return a name and what is asked of it: `tag:db:5432`, `nas`, `[fd7a::1]:443`.

    An IPv6 address needs brackets before a port, and none without one.
    """
    from reconcile.policy.access.traffic import EVERY_PORT

    inside, bracket, rest = text.partition("]")
    if text.startswith("[") and bracket and rest[:1] in ("", ":"):
        name, colon, port = inside[1:], rest[:1], rest[1:]
    elif _is_address(text):
        name, colon, port = text, "", ""
    else:
        name, colon, port = text.rpartition(":")
    if not colon or name in _KINDS:
        return name if bracket else text, EVERY_PORT
    if not name:
        raise UsageError(
            f"{quoted(text)} has no destination", f"before the colon; {_EG}"
        )
    return name, _traffic(port)


def _is_address(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True


def _asked(
    names: Sequence[str], port: "Traffic | None", live: bool, **flags: Any
) -> tuple["Inquiry", "Access"]:
    from reconcile.jobs.access import ask

    asked = ask(options.collect(**flags), live=live)
    return asked, asked.scene.access.asking(names, port)


def _find(found: "Access", name: str) -> int:
    try:
        return found.find(name)
    except LookupError as unknown:
        from difflib import get_close_matches

        from reconcile.policy.language.words import NODE

        meant = name.removeprefix(NODE)
        names = list(dict.fromkeys(found.names()))
        like = get_close_matches(meant, names, n=1, cutoff=_ALIKE)
        hint = f"did you mean {like[0]}? " if like and like[0] != name else ""
        raise ReconcileError(str(unknown.args[0]), hint + _known(names)) from None


def _known(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"known here: {', '.join(names[:_NAMED]) or 'no name at all'}{more}"


def _only_node(found: "Access", name: str) -> "Machine":
    """Return the one node that a name means.

    Raises ReconcileError for a name that nobody knows, or that means several nodes.
    """
    from reconcile.policy.language.words import NODE, listed

    places = _find(found, name)
    nodes = found.matrix.universe.nodes(found.matrix.universe.split(places)[0])
    meant = [m for number, m in found.world.machines.items() if nodes >> number & 1]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        why_not = found.absent(name) or "it is a network"
        nodes_here = [machine.name for machine in found.world.machines.values()]
        raise ReconcileError(f"{name} is no node: {why_not}", _known(nodes_here))
    names = [f"{NODE}{machine.name}" for machine in meant]
    several = f"{name} means {len(meant)} nodes: {listed(names)}"
    raise ReconcileError(several, f"ask about one of them, such as {names[0]}")


def _concerned(scene: "Scene", found: "Access", places: int) -> "Scene":
    """Return the scene with only those expired nodes that a question is about."""
    numbers = found.matrix.universe.nodes(places)
    machines = found.world.machines.items()
    asked = {machine.node.id for number, machine in machines if numbers >> number & 1}
    return replace(scene, expired=scene.expired & asked)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a list of access is told: its title, and what the options say."""

    title: str
    format: str
    full: bool
    members: bool


def _entries(
    asked: "Inquiry",
    found: "Access",
    entries: Sequence["Entry"],
    names: Iterable[str],
    shape: _Shape,
) -> int:
    from reconcile.policy.access.entries import LIMIT
    from reconcile.report import graph
    from reconcile.report.access import entries_json, entries_text
    from reconcile.report.json_plan import write

    notes = [note for note in map(found.absent, names) if note]
    given = entries, found, asked.scene, shape.title, notes
    if shape.format == "json":
        out(write(entries_json(*given, shape.members)))
    elif shape.format in _PICTURES:
        unsure = [*found.unsure, *asked.scene.unsure]
        most = None if shape.full else _MOST_ARROWS
        title = f"Access on {shape.title}"
        made = graph.of_entries(entries, title, unsure, most, notes)
        out(graph.FORMS[shape.format](made))
    else:
        most = None if shape.full else LIMIT
        out(entries_text(*given, paint(), most, shape.members))
    return Exit.OK
