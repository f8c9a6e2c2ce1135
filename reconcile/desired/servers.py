"""Which servers the files describe, and which of them a run is about."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from reconcile.desired.files import Files, folder_of
from reconcile.desired.findings import Findings, did_you_mean, proposal
from reconcile.desired.layers import Tree
from reconcile.desired.state import Said, ServerRef
from reconcile.errors import Position
from reconcile.remedies import Add, Put, Way
from reconcile.source.variables import as_written, is_ours, quoted, used
from reconcile.source.yaml import Path

ALL = "all"
SIMULATOR = "simulator:"


def selected(tree: Tree, server: str | None, findings: Findings) -> list[str | None]:
    """Return the names of the chosen servers; None is a single, unnamed one."""
    names: Mapping[str, object] = tree.value.get("servers", {})
    place = tree.locate(("servers",), key=True) if tree.origins else None
    if names and "server" in tree.value:
        findings.error(
            "RC0028",
            "`server` and `servers` exclude each other",
            tree.locate(("server",), key=True),
            help="move the one server under `servers`, with a name",
        )
    listed = ", ".join(names)
    if not names:
        return _single(tree, server, findings, place)
    _check_overlays(tree, names, findings)
    if server == ALL or (server is None and len(names) == 1):
        return [*names]
    if server is None:
        findings.error(
            "RC0028",
            f"the file describes {len(names)} servers: {listed}",
            place,
            help=f"choose one with --server {next(iter(names))}, or --server all",
        )
        return []
    if server not in names:
        findings.error(
            "RC0028",
            f"no server is called {quoted(server)}",
            place,
            help=did_you_mean(server, names) or f"the file describes: {listed}",
        )
        return []
    return [server]


def _single(
    tree: Tree, server: str | None, findings: Findings, place: Position | None
) -> list[str | None]:
    if tree.value.get("overlays"):
        findings.error(
            "RC0028",
            "`overlays` need `servers`",
            tree.locate(("overlays",), key=True),
            help="name the servers under `servers`",
        )
    known = reference(tree, None) if "url" in tree.value.get("server", {}) else None
    if server not in (None, ALL, known and known.name):
        findings.error(
            "RC0028",
            f"no server is called {quoted(str(server))}",
            place,
            help="the file describes one server only: leave out --server",
        )
    return [None]


def _check_overlays(tree: Tree, names: Mapping[str, object], found: Findings) -> None:
    for name in tree.value.get("overlays", {}):
        if name not in names:
            found.error(
                "RC0028",
                f"no server is called {quoted(name)}",
                tree.locate(("overlays", name), key=True),
                **proposal(name, names, f"servers: {', '.join(names)}"),
            )


def check_variables(tree: Tree, findings: Findings) -> None:
    """Report variables of the environment that the servers' entries may not use.

    A stranger's file could otherwise send any of them somewhere.
    """
    listed = {str(name) for name in tree.value.get("variables", ())}
    for path, value in _texts(tree.value):
        names = [str(value)] if path[-2:] == ("api_key", "env") else used(value)
        for name in names:
            if not is_ours(name) and name not in listed:
                _unlisted(name, bool(listed), tree.locate(path), findings)


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield each text under `server` and `servers`, with its path."""
    if isinstance(value, str):
        yield path, value
        return
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, item in inner:
        if path or name in ("server", "servers"):
            yield from _texts(item, (*path, name))


def _unlisted(name: str, more: bool, place: Position, findings: Findings) -> None:
    path: Path = ("variables",)
    way: Way = (Add(path, (name,)) if more else Put(path, f"[{name}]"),)
    findings.error(
        "RC0704",
        f"the variable {name} is not one that this file uses for a server",
        place,
        why="files use HEADSCALE_*, RECONCILE_* and what they list under `variables`",
        help=f"add {name} to `variables`" if more else f"add `variables: [{name}]`",
        ways=(way,),
    )


def release(tree: Tree, name: str | None) -> Said | None:
    """Return the release that a server is said to run; None when nobody says."""
    path, value = _of(tree, name)
    if "release" not in value:
        return None
    return Said(str(value["release"]), tree.locate((*path, "release")))


def _of(tree: Tree, name: str | None) -> tuple[Path, dict[str, Any]]:
    """Return where the files describe a server, and what they say there."""
    path: Path = ("server",) if name is None else ("servers", name)
    value: Any = tree.value
    for step in path:
        value = value.get(step, {})
    return path, value


def reference(
    tree: Tree,
    name: str | None,
    files: Files | None = None,
    keys: frozenset[str] = frozenset(),
) -> ServerRef | None:
    """Return where a server is; None when the files do not say.

    `files` tells how far they reach, `keys` which variables hold keys of theirs.
    """
    path, value = _of(tree, name)
    if not value:
        return None
    place = tree.locate((*path, "url"))
    url = _absolute(value["url"], place)
    key = _api_key(value)
    key_place = tree.locate((*path, "credentials", "api_key"))
    where: dict[str, Any] = {}
    if "file" in key:
        where = {"env": "", "file": str(folder_of(key_place) / key["file"])}
    elif "command" in key:
        where = {"env": "", "command": tuple(key["command"])}
    elif "env" in key:
        where = {"env": str(key["env"])}
    return ServerRef(
        name=str(name or value.get("name") or default_name(url)),
        type=value.get("type", "headscale"),
        url=url,
        position=place,
        credential=key_place,
        keys=keys,
        root=files.border(place).root if files else None,
        **where,
    )


def _api_key(server: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = server.get("credentials", {}).get("api_key", {})
    return found


def key_variables(tree: Tree) -> frozenset[str]:
    """Return the variables that hold the API key of any server of the files."""
    servers = [tree.value.get("server", {}), *tree.value.get("servers", {}).values()]
    return frozenset(str(_api_key(each).get("env", "")) for each in servers) - {""}


def _absolute(url: str, place: Position) -> str:
    """Return the URL with a simulator's path made relative to its file.

    A path from a variable is relative to the current folder, like any other path in
    the environment.
    """
    if not url.startswith(SIMULATOR) or as_written(url) != url:
        return str(url)
    return SIMULATOR + str(folder_of(place) / url.removeprefix(SIMULATOR))


def default_name(url: str) -> str:
    """Return what a server without a name is called: its host, or its world file."""
    if url.startswith(SIMULATOR):
        return url.rpartition("/")[2].removeprefix(SIMULATOR).partition(".")[0]
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
