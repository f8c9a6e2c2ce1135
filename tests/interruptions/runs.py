"""Run the program in processes of their own, and look at what an interruption leaves."""

import contextlib
import faulthandler
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reconcile.simulator import Simulator
from reconcile.simulator.worldfile import parse
from tests.bad_server import BadServer, Fault, running
from tests.contract import seeds
from tests.interruptions import story
from tests.interruptions.local import AtWrite
from tests.interruptions.points import KINDS, At, Victim
from tests.support import call_git

_PATIENCE = 40.0  # seconds for one run
_CONTEXT = multiprocessing.get_context("forkserver")
# All that an apply imports: a process of its own starts in no time then.
_LOADED = """cli server.exchange session several apply checks lint scene runner
    report.outcome report.text policy.difference policy.lint policy.causes"""
_CONTEXT.set_forkserver_preload(
    [*(f"reconcile.{name}" for name in _LOADED.split()), __name__]
)


@dataclass(frozen=True)
class Ended:
    """The exit code of a run (minus a signal's number), and what it printed."""

    code: int
    printed: str


def _child(
    folder: str,
    environ: dict[str, str],
    words: list[str],
    into: str,
    alone: bool,
    write: AtWrite | None,
) -> None:
    """Be the program: what it prints goes to a file. Who is alone waits for nobody."""
    from reconcile.apply import run as apply
    from reconcile.cli import main
    from reconcile.live import exchange

    exchange.random.uniform = lambda _low, _high: 0.0  # pauses between tries
    if alone:
        apply.sleep = lambda _seconds: None
    os.chdir(folder)
    os.environ.update(environ)
    target = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(target, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    faulthandler.dump_traceback_later(_PATIENCE - 10)
    sys.argv = ["reconcile", *words]
    if write:
        write.listen()
    main()


def run(
    folder: Path,
    environ: dict[str, str],
    *words: str,
    victim: Victim | None = None,
    alone: bool = True,
    write: AtWrite | None = None,
) -> Ended:
    """Run one command line in a folder; `victim` learns of its process.

    `write` is the local write at which something happens.
    """
    into = folder.parent / "printed"
    child = _CONTEXT.Process(
        target=_child,
        args=(str(folder), environ, list(words), str(into), alone, write),
    )
    child.start()
    if victim:
        victim.pid = child.pid or 0
    child.join(_PATIENCE)
    if child.is_alive():
        child.kill()
        child.join()
        printed = into.read_text("utf-8", "replace")
        raise TimeoutError(f"{' '.join(words)} does not end\n{printed}")
    return Ended(child.exitcode or 0, into.read_text("utf-8", "replace"))


class Behind(Protocol):
    """A server whose state can be kept, and brought back for each run.

    `url` is "" where requests go through the server that misbehaves.
    """

    key: str
    url: str

    def fresh(self) -> Any:
        """Start from the kept state; return what answers requests from now on."""

    def keep(self) -> None:
        """Keep the state as it is now."""

    def close(self) -> None:
        """Stop what runs."""


class InFile:
    """The simulator in the process of the command; its world is a file beside others."""

    url = "simulator:world.json"

    def __init__(self, release: str, work: Path) -> None:
        work.mkdir(parents=True)
        world = json.dumps(seeds.world(release, "tailnet"))
        self.key = parse(world).api_keys[0].key
        (work / "world.json").write_text(world)
        (work / ".gitignore").write_text("/world.json\n")

    def fresh(self) -> None:
        """Its state comes and goes with the folder."""

    keep = close = fresh


class Simulated:
    """The simulator, as one release."""

    url = ""

    def __init__(self, release: str) -> None:
        self._text = json.dumps(seeds.world(release, "tailnet"))
        self._world = parse(self._text)
        self.key = self._world.api_keys[0].key

    def fresh(self) -> Simulator:
        self._world = parse(self._text)
        return Simulator(self._world)

    def keep(self) -> None:
        self._text = self._world.as_json()

    def close(self) -> None:
        pass


@dataclass
class Ground:
    """A repository whose files are to be applied, and a server to apply them to."""

    release: str
    behind: Behind
    bad: BadServer
    folder: Path

    def run(self, *words: str, **points: Any) -> Ended:
        environ = story.environment(self.behind.url or self.bad.url, self.behind.key)
        return run(self.folder / "work", environ, *words, **points)

    def prepare(self, *, in_git: bool) -> None:
        """Apply the first files, and put the second ones in their place."""
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        story.write_first(work)
        if in_git:
            _git(work, "init", "-q")
            _commit(work)
        self.bad.simulator = self.behind.fresh()
        done = self.run("apply", "--auto-approve")
        if done.code:
            raise RuntimeError(done.printed)
        self.behind.keep()
        story.write_second(work, self.release)
        if in_git:
            _commit(work)
        shutil.copytree(work, self.folder / "kept")

    def begin(self, number: int = -1, kind: str = "") -> Victim:
        """Make all as it was, with something to happen at one request."""
        shutil.rmtree(self.folder / "work")
        shutil.copytree(self.folder / "kept", self.folder / "work")
        victim = Victim()
        self.bad.simulator = self.behind.fresh()
        self.bad.faults = [Fault("", At(number, KINDS[kind](victim)))] if kind else []
        self.bad.requests.clear()
        return victim

    def requests(self) -> int:
        """Return how many requests the apply makes when nothing happens."""
        self.begin()
        done = self.run("apply", "--auto-approve")
        if done.code:
            raise RuntimeError(done.printed)
        return len(self.bad.requests)

    def trouble(self, number: int, kind: str) -> str:
        """Interrupt the apply at a request; return what is wrong after the next one."""
        victim = self.begin(number, kind)
        first = self.run("apply", "--auto-approve", victim=victim)
        return self._after(first)

    def trouble_at_write(self, number: int, kind: str) -> str | None:
        """Interrupt the apply at a local write; None where there are fewer writes."""
        self.begin()
        reached = self.folder / "reached"
        reached.unlink(missing_ok=True)
        place = AtWrite(number, kind, str(self.folder / "work"), str(reached))
        first = self.run("apply", "--auto-approve", write=place)
        return self._after(first) if reached.exists() else None

    def _after(self, first: Ended) -> str:
        """Apply again and plan; return what is wrong then, "" for nothing."""
        self.bad.faults = []
        second = self.run("apply", "--auto-approve")
        plan = self.run("plan", "--check")
        runs = {"interrupted": first, "next": second, "plan": plan}
        wrong = [
            f"{name}: a traceback\n{ended.printed}"
            for name, ended in runs.items()
            if "Traceback" in ended.printed
        ]
        if second.code or plan.code:
            wrong += [f"{name} ({e.code})\n{e.printed}" for name, e in runs.items()]
        left = [f"a file is left: {name}" for name in sorted(self._more())]
        return "\n".join([*wrong, *left])

    def _more(self) -> set[str]:
        """Return the files that are there now and were not, refs and objects apart."""
        kept, work = (_names(self.folder / name) for name in ("kept", "work"))
        return {
            name
            for name in work - kept
            if not name.startswith((".git/objects", ".git/refs", ".git/logs"))
            or name.endswith(".lock")
        }


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _git(work: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    call_git("-C", str(work), *who, *words)


def _commit(work: Path) -> None:
    _git(work, "add", "-A")
    _git(work, "commit", "-qm", "change")


@contextlib.contextmanager
def in_file(release: str, folder: Path, *, in_git: bool) -> Iterator[Ground]:
    """Yield a ground whose server is a world file in its folder."""
    with ground(release, folder, InFile(release, folder / "work"), in_git=in_git) as g:
        yield g


@contextlib.contextmanager
def ground(
    release: str, folder: Path, behind: Behind | None = None, *, in_git: bool
) -> Iterator[Ground]:
    """Yield a ground that is prepared; without a server it is the simulator."""
    behind = behind or Simulated(release)
    with running() as bad:
        found = Ground(release, behind, bad, folder)
        try:
            found.prepare(in_git=in_git)
            yield found
        finally:
            behind.close()
