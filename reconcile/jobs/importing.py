"""Live server to desired state: the files of `import`, proved before they are kept."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from reconcile import desired as desired_state
from reconcile.desired.servers import SIMULATOR
from reconcile.desired.write import write
from reconcile.errors import InputError, ReconcileError, UsageError
from reconcile.jobs.connection import default_server, open_server
from reconcile.jobs.leave import URL, Leave
from reconcile.jobs.options import Options
from reconcile.jobs.run import DEFAULT_FILE
from reconcile.model import Live, Node
from reconcile.plan.plan import Plan, build
from reconcile.source import disk

KINDS = ("user", "node", "policy")


@dataclass(frozen=True, slots=True)
class Imported:
    """The files that were written, and what they hold in one line."""

    paths: tuple[Path, ...]
    summary: str


def read_everything(
    options: Options, url: str | None, kinds: Sequence[str] = KINDS
) -> Live:
    """Return the live state of a server that no file names yet."""
    ref = default_server(options.environ, url)
    named = replace(options, environ={**options.environ, URL: ref.url})
    with closing(open_server(ref, options, Leave(ref, named))) as server:
        live = server.read(frozenset(kinds))
    if ref.url.startswith(SIMULATOR):
        live = replace(live, server=replace(live.server, url=ref.url))
    return live


def import_server(
    options: Options,
    url: str | None,
    kinds: Sequence[str],
    policy_file: str,
    folder: Path,
) -> Imported:
    """Write tailnet.yaml and the policy into a folder.

    The plan from these files is made before they are kept, and must be empty. Raises
    ReconcileError when a file exists already, or when the proof fails; then nothing
    was written.
    """
    if Path(policy_file).name != policy_file or policy_file == DEFAULT_FILE:
        raise UsageError(
            f"--policy-file {policy_file} is not the name of another file",
            "it goes beside tailnet.yaml; -o DIR chooses the folder of both",
        )
    if disk.is_stdout(folder):
        raise UsageError(
            "import writes two files, and standard output takes one",
            "name a folder with -o DIR",
        )
    paths = [folder / DEFAULT_FILE, folder / policy_file]
    for path in paths:
        disk.require_here(path)
        if path.exists():
            raise ReconcileError(
                f"{path} exists and is not overwritten",
                "move it away, or choose another folder with -o DIR",
            )
    live = read_everything(options, url, kinds or KINDS)
    _require_own_names(live)
    contents = _contents(live, options, url, paths)
    _prove(live, contents, options)
    _keep(folder, contents)
    return Imported(tuple(contents), _summary(live))


def _require_own_names(live: Live) -> None:
    """Raise ReconcileError where two nodes have one name, by which files call them."""
    first: dict[str, Node] = {}
    for node in live.nodes or ():
        other = first.setdefault(node.name, node)
        if other is not node:
            raise ReconcileError(
                f"two nodes on the server are called {node.name}: #{other.id} and "
                f"#{node.id}",
                "rename one of them on the server, or import the rest: reconcile "
                "import --kind user --kind policy",
            )


def _keep(folder: Path, contents: dict[Path, bytes]) -> None:
    """Write all files, or none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReconcileError(
            f"cannot make the folder {folder}: {error.strerror}",
            "choose another one with -o DIR",
        ) from None
    written: list[Path] = []
    try:
        for path, data in contents.items():
            disk.create(path, data)
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _contents(
    live: Live, options: Options, url: str | None, paths: Sequence[Path]
) -> dict[Path, bytes]:
    yaml_path, policy_path = paths
    ref = default_server(options.environ, url)
    shown = _from(yaml_path.parent, ref.url) if url else "${HEADSCALE_URL}"
    policy = live.policy.text if live.policy else None
    name = policy_path.name if policy is not None else None
    contents = {yaml_path: write(live, name, shown).encode()}
    if policy is not None:
        contents[policy_path] = policy.encode()
    return contents


def _from(folder: Path, url: str) -> str:
    """Return a server's URL as a file in `folder` has to write it.

    A simulator's world is named relative to the file that names it.
    """
    world = Path(url.removeprefix(SIMULATOR))
    if not url.startswith(SIMULATOR) or world.is_absolute():
        return url
    return f"{SIMULATOR}{os.path.relpath(world, folder)}"


def _prove(live: Live, contents: dict[Path, bytes], options: Options) -> None:
    """Read the files back and plan: anything but an empty plan is our mistake."""
    with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
        for path, data in contents.items():
            disk.create(Path(folder) / path.name, data)
        main = str(Path(folder) / next(iter(contents)).name)
        environ = {"HEADSCALE_URL": live.server.url, **options.environ}
        try:
            (desired,) = desired_state.read([main], environ=environ)
        except InputError as error:
            raise _unreadable(error) from None
        plan = build(desired, live, name="import")
    if plan.changes or plan.errors or plan.pending:
        raise ReconcileError(
            f"the imported state is not what the server has: {_difference(plan)}",
            "this is a mistake in reconcile, please report it; nothing was written",
        )


def _unreadable(error: InputError) -> ReconcileError:
    """Say why files with the server's own words cannot be read back."""
    finding = next(f for f in error.diagnostics if f.severity == "error")
    place = finding.position
    if place is None or place.file.endswith(DEFAULT_FILE):
        return ReconcileError(
            f"the imported state cannot be read back: {finding.message}",
            "this is a mistake in reconcile, please report it; nothing was written",
        )
    return ReconcileError(
        f"the policy on the server, line {place.line}: {finding.message}",
        "mend it on the server, or import the rest: reconcile import --kind user "
        "--kind node",
    )


def _difference(plan: Plan) -> str:
    found = [change.address for change in plan.changes]
    found += [f"{pending.address} is not found" for pending in plan.pending]
    found += [error.message for error in plan.errors]
    return ", ".join(found[:5])


def _summary(live: Live) -> str:
    parts = [
        f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
        for noun, items in (("user", live.users), ("node", live.nodes))
        if items is not None
    ]
    if live.policy is not None:
        size = live.policy.text is not None and len(live.policy.text.encode())
        parts.append(f"the policy ({size} bytes)" if size else "no policy")
    return f"Imported {', '.join(parts)}; the plan of these files is empty."
