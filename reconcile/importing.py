"""Live server to desired state: the files of `import`, proved before they are kept."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from reconcile import desired as desired_state
from reconcile import files
from reconcile.desired.write import write
from reconcile.errors import ReconcileError
from reconcile.model import Live
from reconcile.plan import Plan, build
from reconcile.session import SIMULATOR, Options, default_server, open_server

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
    with closing(open_server(ref, options)) as server:
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
    paths = [folder / "tailnet.yaml", folder / policy_file]
    for path in paths:
        if path.exists():
            raise ReconcileError(
                f"{path} exists and is not overwritten",
                "move it away, or choose another folder with -o DIR",
            )
    live = read_everything(options, url, kinds or KINDS)
    contents = _contents(live, options, url, paths)
    _prove(live, contents, options)
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in contents.items():
        files.create(path, data)
    return Imported(tuple(contents), _summary(live))


def _contents(
    live: Live, options: Options, url: str | None, paths: Sequence[Path]
) -> dict[Path, bytes]:
    yaml_path, policy_path = paths
    ref = default_server(options.environ, url)
    shown = ref.url if url else "${HEADSCALE_URL}"
    policy = live.policy.text if live.policy else None
    name = policy_path.name if policy is not None else None
    contents = {yaml_path: write(live, name, shown).encode()}
    if policy is not None:
        contents[policy_path] = policy.encode()
    return contents


def _prove(live: Live, contents: dict[Path, bytes], options: Options) -> None:
    """Read the files back and plan: anything but an empty plan is our mistake."""
    with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
        for path, data in contents.items():
            (Path(folder) / path.name).write_bytes(data)
        main = str(Path(folder) / next(iter(contents)).name)
        environ = {"HEADSCALE_URL": live.server.url, **options.environ}
        (desired,) = desired_state.read([main], environ=environ)
        plan = build(desired, live, name="import")
    if plan.changes or plan.errors:
        raise ReconcileError(
            f"the imported state is not what the server has: {_difference(plan)}",
            "this is a mistake in reconcile, please report it; nothing was written",
        )


def _difference(plan: Plan) -> str:
    found = [change.address for change in plan.changes]
    found += [error.message for error in plan.errors]
    return ", ".join(found[:5])


def _summary(live: Live) -> str:
    parts = [
        f"{len(items)} {noun}"
        for noun, items in (("users", live.users), ("nodes", live.nodes))
        if items is not None
    ]
    if live.policy is not None:
        size = live.policy.text is not None and len(live.policy.text.encode())
        parts.append(f"the policy ({size} bytes)" if size else "no policy")
    return f"Imported {', '.join(parts)}; the plan of these files is empty."
