"""Reads the desired state: files, form, references, one result a server."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reconcile.desired import accepts, checks, nodes, policy, servers, users
from reconcile.desired.files import Files
from reconcile.desired.findings import Findings
from reconcile.desired.idle import check_idle, check_idle_servers
from reconcile.desired.layers import Tree, merge, overlaid
from reconcile.desired.settings import SettingsReader
from reconcile.desired.state import (
    Desired,
    Manage,
    Removed,
    Said,
    ServerRef,
    WantedPolicy,
)
from reconcile.errors import InputError, Position
from reconcile.remedies import Put
from reconcile.source.text import DISK, Storage

if TYPE_CHECKING:
    from reconcile.policy.access.claims import Assert


_VERSION = Put(("version",), "1")


def read(
    paths: Sequence[str],
    *,
    server: str | None = None,
    environ: Mapping[str, str],
    offline: bool = False,
    release: str | None = None,
    now: datetime | None = None,
    storage: Storage = DISK,
) -> tuple[Desired, ...]:
    """Return the desired state of each chosen server (`all`: of every one).

    `paths` are files, folders, or `-`. With `offline` nothing will be connected to,
    so a variable without a value in a server's URL or credential is no mistake.
    `release` is what the server runs, whatever the files say of it.
    `storage` is where the files are: on the disk, or in a commit.
    Raises InputError with every finding of the run; warnings alone raise nothing
    and are in the results.
    """
    findings = Findings()
    files = Files(environ, findings, storage)
    files.add(paths)
    tree = merge(files.read, findings)
    chosen = servers.selected(tree, server, findings) if files.read else []
    if files.read:
        servers.check_variables(tree, findings)
    _check_version(files, findings)
    _check_variables(files, chosen, offline, findings)
    moment = now or datetime.now(UTC)
    told = Said(release) if release else None
    keys = servers.key_variables(tree)
    states = []
    for name in chosen:
        where = servers.reference(tree, name, files, keys)
        runs = told or servers.release(tree, name)
        over = overlaid(tree, str(name))
        states.append(_state(over, where, runs, files, findings, moment))
    check_idle_servers(tree, findings)
    if findings.failed:
        every = [accept for state in states for accept in state.accepts]
        raise InputError(accepts.sift(findings.sorted(), every).left)
    digests, warnings = tuple(dict.fromkeys(files.digests)), findings.sorted()
    return tuple(replace(each, files=digests, warnings=warnings) for each in states)


def _check_version(files: Files, findings: Findings) -> None:
    said = frozenset[str]().union(*(file.sections for file in files.read))
    if said and "version" not in said:
        findings.error(
            "RC0022",
            "no file says its version",
            Position(files.read[0].source.file, 1, 1),
            why="a later version of this format can then be told from this one",
            help=f"begin the file with {_VERSION}",
            ways=((_VERSION,),),
        )


def _check_variables(
    files: Files, chosen: Sequence[str | None], offline: bool, findings: Findings
) -> None:
    """Report variables without a value, unless nothing of this run needs them."""
    for file in files.read:
        for path, finding in file.source.unset:
            of_server = path[:1] in (("server",), ("servers",))
            elsewhere = (
                path[0] in ("servers", "overlays")
                and path[1:]
                and path[1] not in chosen
            )
            unset = finding.code == "RC0009"
            if not (unset and (elsewhere or (offline and of_server))):
                findings.add(finding)


def _state(
    tree: Tree,
    server: ServerRef | None,
    runs: Said | None,
    files: Files,
    findings: Findings,
    now: datetime,
) -> Desired:
    value = tree.value
    defaults: dict[str, Any] = value.get("defaults", {}).get("nodes", {})
    reader = SettingsReader(tree, findings, now)
    wanted = policy.read(tree, files, findings, runs.word if runs else "")
    desired = Desired(
        server=server,
        release=runs,
        users=users.read(tree, findings),
        nodes=nodes.read_nodes(reader),
        node_defaults=reader.read(defaults, ("defaults", "nodes")),
        node_pending=defaults.get("pending"),
        node_replace=defaults.get("replace"),
        rules=nodes.read_rules(reader),
        removed=_removed(tree),
        policy=wanted,
        asserts=_asserts(tree, wanted, findings),
        accepts=accepts.read(tree, findings),
        manage=_manage(value.get("manage", {})),
        if_unsupported=value.get("if_unsupported", "error"),
        variables=tuple(map(str, value.get("variables", ()))),
    )
    checks.check(desired, tree, findings, now)
    check_idle(tree, findings)
    return desired


def _removed(tree: Tree) -> tuple[Removed, ...]:
    found = []
    for index, address in enumerate(tree.value.get("removed", ())):
        kind, _, name = address.partition(":")
        found.append(Removed(kind, name, tree.locate(("removed", index))))
    return tuple(found)


def _asserts(
    tree: Tree, wanted: WantedPolicy | None, findings: Findings
) -> "tuple[Assert, ...]":
    if "assert" not in tree.value:
        return ()
    from reconcile.desired import asserts

    return asserts.read(tree, wanted, findings)


def _manage(value: dict[str, Any]) -> Manage:
    nodes = value.get("nodes", {})
    if isinstance(nodes, str):
        nodes = {"unlisted": nodes}
    return Manage(
        users=value.get("users", "report"),
        nodes=nodes.get("unlisted", "report"),
        ephemeral=nodes.get("ephemeral", "ignore"),
    )
