"""The commands of the simulated control server: serve a world, and change it."""

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.errors import ReconcileError

if TYPE_CHECKING:
    from reconcile.simulator import WorldFile
    from reconcile.simulator.world import Node, World

_RELEASES = "0.26, 0.27, 0.28, 0.29 or main"
_WORLD = "world.json"


def _world_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--world",
        "-w",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The world's file ({_WORLD}).",
    )(command)


def _path(context: click.Context, world: Path | None) -> Path:
    """Return the world named here, or before the subcommand, or the default."""
    outer: click.Context | None = context
    while outer and not world:
        outer = outer.parent
        world = outer.params.get("world") if outer else None
    return world or Path(_WORLD)


def _opened(
    context: click.Context,
    world: Path | None,
    create: "Callable[[], World] | None" = None,
) -> "WorldFile":
    """Open the world's file; a missing one is an error, or made by `create`."""
    from reconcile.simulator import WorldFile

    return WorldFile(_path(context, world), create)


@click.group(invoke_without_command=True)
@_world_option
@click.option("--api", type=click.Choice(["headscale"]), default="headscale")
@click.option("--emulate", metavar="VERSION", help=f"{_RELEASES}; kept in the world.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--demo", is_flag=True, help="A new world begins as a small tailnet.")
@click.pass_context
def simulate(
    context: click.Context,
    world: Path | None,
    api: str,
    emulate: str | None,
    port: int,
    demo: bool,
) -> None:
    """Serve a simulated control server; its subcommands change its world.

    The server listens on this machine only and keeps its state in one JSON file, made
    when missing. The same file works without a server as the URL simulator:FILE.
    """
    del api  # the only one so far
    if context.invoked_subcommand is None:
        _serve(_prepared(context, world, emulate, demo), port)


def _prepared(
    context: click.Context, world: Path | None, emulate: str | None, demo: bool
) -> "WorldFile":
    from reconcile.simulator import World
    from reconcile.simulator.demo import world as demo_world
    from reconcile.simulator.release import release_named

    try:
        release = release_named(emulate) if emulate else None
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="--emulate") from None

    def create() -> World:
        if demo:
            return demo_world(release)
        return World(release) if release else World()

    file = _opened(context, world, create)
    if release:
        with file.changing() as state:
            state.emulate = release
    return file


def _serve(file: "WorldFile", port: int) -> None:
    import gc
    import threading

    from reconcile.simulator import serve

    gc.enable()  # it may run for weeks
    with ExitStack() as stack:
        try:
            server = stack.enter_context(serve(file, port))
        except OSError as problem:
            raise ReconcileError(
                f"cannot serve on port {port}: {problem.strerror}",
                "choose another with --port N, or let one be chosen with --port 0",
            ) from None
        click.echo(f"Headscale {file.world.emulate}, simulated, at {server.url}")
        click.echo(f"World: {file.path}. Key: {_key(file.world)}. Ctrl-C stops.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("Stopped.")


def _key(world: "World") -> str:
    if world.any_key:
        return "any"
    return "one of those in the world" if world.api_keys else "none works"


@simulate.command()
@_world_option
@click.option("--emulate", metavar="VERSION", help=f"{_RELEASES}; kept in the world.")
@click.option("--demo", is_flag=True, help="Begin as a small tailnet, not empty.")
@click.pass_context
def new(
    context: click.Context, world: Path | None, emulate: str | None, demo: bool
) -> None:
    """Make a world without serving it, for use as simulator:FILE."""
    from reconcile.policy.language.words import plural

    path = _path(context, world)
    if path.exists():
        raise ReconcileError(f"{path} exists and is not overwritten", "move it away")
    with _prepared(context, world, emulate, demo).changing() as state:
        users, nodes = len(state.users), len(state.nodes)
    click.echo(
        f"Made {path}: Headscale {state.emulate}, simulated, with "
        f"{plural(users, 'user')} and {plural(nodes, 'node')}. Use it with:"
    )
    click.echo(f"  export {shlex.quote(f'HEADSCALE_URL=simulator:{path}')}")
    click.echo("  reconcile import")


@simulate.group()
def node() -> None:
    """Add, join, list and remove devices of the world."""


@node.command()
@_world_option
@click.argument("name")
@click.option("--user", "-u", metavar="NAME", help="Its owner, made when missing.")
@click.option("--route", "routes", multiple=True, metavar="CIDR", help="It advertises.")
@click.option("--exit-node", is_flag=True, help="It advertises to be an exit node.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="It wears this tag.")
@click.option("--offline", is_flag=True, help="It is not connected.")
@click.pass_context
def add(
    context: click.Context,
    world: Path | None,
    name: str,
    user: str | None,
    tags: tuple[str, ...],
    offline: bool,
    routes: tuple[str, ...],
    exit_node: bool,
) -> None:
    """Add a device as if an administrator had registered it."""
    from reconcile.simulator import World, enrol

    with _opened(context, world, World).changing() as state:
        fields = {"routes": _routes(routes, exit_node), "tags": _tags(state, tags)}
        made = enrol.connect(state, name, user, online=not offline, **fields)
        click.echo(f"Added {_line(state, made)}")


@node.command()
@_world_option
@click.argument("name")
@click.option("--key", required=True, metavar="SECRET", help="A pre-auth key.")
@click.option("--route", "routes", multiple=True, metavar="CIDR", help="It advertises.")
@click.option("--exit-node", is_flag=True, help="It advertises to be an exit node.")
@click.pass_context
def join(
    context: click.Context,
    world: Path | None,
    name: str,
    key: str,
    routes: tuple[str, ...],
    exit_node: bool,
) -> None:
    """Let a device join with a pre-auth key, as the real client does."""
    from reconcile.simulator import enrol

    with _opened(context, world).changing() as state:
        made = enrol.join(state, key, name, routes=_routes(routes, exit_node))
        click.echo(f"Joined {_line(state, made)}")


@node.command()
@_world_option
@click.argument("name")
@click.pass_context
def remove(context: click.Context, world: Path | None, name: str) -> None:
    """Remove a device."""
    from reconcile.simulator import enrol

    with _opened(context, world).changing() as state:
        gone = enrol.leave(state, name)
    click.echo(f"Removed {gone.name} (#{gone.id}).")


@node.command("list")
@_world_option
@click.pass_context
def list_(context: click.Context, world: Path | None) -> None:
    """List the devices of the world."""
    with _opened(context, world).reading() as state:
        for item in state.nodes:
            click.echo(_line(state, item))


@simulate.command()
@_world_option
@click.pass_context
def restart(context: click.Context, world: Path | None) -> None:
    """Forget what only the running server knew, as a restart does on 0.27 and 0.28."""
    with _opened(context, world).changing() as state:
        lost = [item.name for item in state.nodes if item.disk]
        state.restart()
    click.echo(f"Restarted. {_lost(lost)}")


def _lost(names: list[str]) -> str:
    from reconcile.model import natural

    if not names:
        return "Nothing was lost."
    listed = ", ".join(sorted(names, key=natural))
    return f"What the database never got is gone for: {listed}."


def _routes(routes: tuple[str, ...], exit_node: bool) -> list[str]:
    from reconcile.simulator import routing
    from reconcile.simulator.wire import Refusal

    try:
        found = [routing.parse(route) for route in routes]
    except Refusal as problem:
        raise click.BadParameter(problem.message, param_hint="--route") from None
    return found + (list(routing.EXIT) if exit_node else [])


def _tags(world: "World", tags: tuple[str, ...]) -> list[str]:
    from reconcile.simulator.keys import check_tag

    for tag in tags:
        if problem := check_tag(world.release, tag):
            raise click.BadParameter(problem, param_hint="--tag")
    return sorted(set(tags))


def _line(world: "World", item: "Node") -> str:
    user = world.user(item.user)
    owner = ", ".join(item.tags) or (user.name if user else "nobody")
    routes = f", advertises {', '.join(item.routes)}" if item.routes else ""
    state = "online" if item.online else "offline"
    return f"{item.name} (#{item.id}, {owner}, {state}{routes})"
