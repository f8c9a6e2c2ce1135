"""Try every point of an apply.

usage: python -m tests.interruptions [RELEASE] [KIND ...]
       python -m tests.interruptions writes [KIND ...]

Without a release it is the simulator as 0.29, else the real server of that release in
HEADSCALE_BINARIES. `writes` are those of local files: a world, and git's ref. Prints what is wrong at a point, and the number of points at the
end; the exit code is 1 if there was anything.
"""

import contextlib
import itertools
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from reconcile.simulator import Request
from reconcile.simulator.wire import Response
from tests.contract.real import PROGRAMS, RealServer
from tests.interruptions.local import LOCAL
from tests.interruptions.points import KINDS
from tests.interruptions.runs import ground, in_file

_KEPT = ("authorization", "content-type", "accept")


class Forward:
    """The way to a real server."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)

    def handle(self, request: Request) -> Response:
        query = f"?{request.query}" if request.query else ""
        found = self._client.request(
            request.method,
            request.path + query,
            headers={k: v for k, v in request.headers.items() if k in _KEPT},
            content=request.body,
        )
        kind = {"Content-Type": found.headers.get("Content-Type", "text/plain")}
        return Response(found.status_code, kind, found.content)


class _Real:
    """A real server; its kept state is a folder, copied for each run."""

    url = ""

    def __init__(self, release: str, folder: Path) -> None:
        self._folder = folder
        self._server = RealServer(release, "tailnet", folder / "server")
        self._server.prepare()
        self._running = self._server
        self.key = self._server.api_key

    def fresh(self) -> Any:
        self.close()
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        self._running = self._server.copy(copy)
        self._running.start()
        return Forward(self._running.url)

    def keep(self) -> None:
        self.close()
        shutil.rmtree(self._server.folder)
        shutil.copytree(self._folder / "copy", self._server.folder)

    def close(self) -> None:
        self._running.stop()


def main(arguments: list[str]) -> int:
    """Try the points; return 0, 1 where something is wrong, 64 for wrong usage."""
    if arguments[:1] == ["writes"]:
        return _writes(arguments[1:] or [*LOCAL])
    releases = [word for word in arguments if word in PROGRAMS]
    kinds = [word for word in arguments if word in KINDS] or [*KINDS]
    if len(releases) > 1 or {*arguments} - {*releases, *kinds}:
        print(__doc__)
        return 64
    wrong = tried = 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, release = Path(name), [*releases, "0.29"][0]
        behind = _Real(release, folder / "real") if releases else None
        for in_git in (True, False):
            work = folder / f"work-{in_git}"
            made = stack.enter_context(ground(release, work, behind, in_git=in_git))
            for kind in kinds:
                for number in range(made.requests()):
                    trouble = made.trouble(number, kind)
                    tried, wrong = tried + 1, wrong + bool(trouble)
                    if trouble:
                        print(f"{kind} at request {number}:\n{trouble}\n", flush=True)
    print(f"{tried} points, {wrong} wrong")
    return 1 if wrong else 0


def _writes(kinds: list[str]) -> int:
    """Try each local write; return what `main` does."""
    if {*kinds} - {*LOCAL}:
        print(__doc__)
        return 64
    wrong = tried = 0
    for make in (in_file, ground):
        with (
            tempfile.TemporaryDirectory() as name,
            make("0.29", Path(name), in_git=True) as made,
        ):
            for kind in kinds:
                numbers = itertools.count()
                while (
                    trouble := made.trouble_at_write(next(numbers), kind)
                ) is not None:
                    tried, wrong = tried + 1, wrong + bool(trouble)
                    if trouble:
                        print(f"{kind} at a write of {make.__name__}:\n{trouble}\n")
    print(f"{tried} points, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
