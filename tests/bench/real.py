"""A real server: `plan` against bare GETs, `apply` against bare parallel POSTs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.contract.real import PROGRAMS, RealServer, SlowStart, program
from tests.contract.seeds import SeedNode

Measure = Callable[..., list[tuple[float, float]]]
Row = Callable[[str, float, float, str, str], None]

NODES, MANY, WRITES, WORKERS, TURNS = 1_000, 10_000, 64, 32, 5


def bench_real(measure: Measure, row: Row) -> None:
    for release in PROGRAMS:
        if not program(release):
            print(f"{release}: skipped, no {PROGRAMS[release]} here")
            continue
        with _server(release, NODES) as (server, folder):
            _plan(server, folder, NODES, measure, row)
            _writes(server, folder)
        try:
            with _server(release, MANY) as (server, folder):
                _plan(server, folder, MANY, measure, row)
        except SlowStart:
            print(
                f"plan, {MANY} nodes, real {release}: skipped, it takes too long to start"
            )


@contextmanager
def _server(release: str, count: int) -> Iterator[tuple[RealServer, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        nodes = [
            SeedNode(f"node-{number:05}", "alice", routes=(_route(number),))
            for number in range(1, count + 1)
        ]
        server = RealServer(
            release, "tailnet", Path(folder, "server"), nodes=nodes, fast=False
        )
        server.prepare()
        try:
            server.start()
            yield server, Path(folder)
        finally:
            server.stop()


def _writes(server: RealServer, folder: Path) -> None:
    """By turns, each on nodes of its own, so that both find the same server."""
    floors, applies = [], []
    for turn in range(TURNS):
        floors.append(_bare(server, 1 + 2 * turn * WRITES))
        applies.append(_apply(server, 1 + (2 * turn + 1) * WRITES, folder))
    # The server collects writes into batches: single turns scatter by a half.
    floor, seconds = sum(floors) / TURNS, sum(applies) / TURNS
    print(
        f"{WRITES} route approvals, {NODES} nodes, {server.release:<5} "
        f"{seconds:6.1f} s   floor {floor:6.1f} s   "
        f"throughput x{floor / seconds:.2f} (target 0.9)   {WORKERS} workers",
        flush=True,
    )


def _plan(
    server: RealServer, folder: Path, count: int, measure: Measure, row: Row
) -> None:
    """Import the server's state and measure the empty plan of it."""
    environ = {
        **os.environ,
        "HEADSCALE_URL": server.url,
        "HEADSCALE_API_KEY": server.api_key,
    }
    program = [sys.executable, "-m", "reconcile"]
    subprocess.run(
        [*program, "import", "-o", str(folder / "files")],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    file = str(folder / "files" / "tailnet.yaml")
    floor, plan = measure(
        [
            sys.executable,
            "-m",
            "tests.bench.floor",
            server.url.rpartition(":")[2],
            file,
        ],
        [*program, "plan", "-f", file],
        env=environ,
    )
    what = f"plan, {count} nodes, real {server.release}"
    row(what, plan[0], floor[0], "2.5", f"{plan[1]:.0f} MB (150)")


def _route(number: int) -> str:
    return f"10.{number // 250}.{number % 250}.0/24"


def _bare(server: RealServer, first: int) -> float:
    """Return the seconds that the same POSTs take without anything around them."""
    headers = {"Authorization": f"Bearer {server.api_key}"}
    limits = httpx.Limits(max_connections=WORKERS)
    with httpx.Client(
        base_url=server.url, headers=headers, timeout=300, limits=limits
    ) as client:

        def write(number: int) -> None:
            path = f"/api/v1/node/{number}/approve_routes"
            client.post(path, json={"routes": [_route(number)]}).raise_for_status()

        started = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(write, range(first, first + WRITES)))
        return time.perf_counter() - started


def _apply(server: RealServer, first: int, folder: Path) -> float:
    """Return the seconds of the writes in an apply, from its own report."""
    lines = ["version: 1", "nodes:"]
    for number in range(first, first + WRITES):
        lines.append(f"  node-{number:05}:")
        lines.append(f"    match: {{ id: '{number}' }}")
        lines.append(f"    routes: {{ approve: [{_route(number)}] }}")
    file = folder / f"apply-{first}.yaml"
    file.write_text("\n".join(lines) + "\n")
    environ = {
        **os.environ,
        "HEADSCALE_URL": server.url,
        "HEADSCALE_API_KEY": server.api_key,
    }
    command = [sys.executable, "-m", "reconcile", "apply", "-f", str(file)]
    command += ["--auto-approve", "--format", "json", "--progress", "plain"]
    marks: list[float] = []
    report_file = file.with_suffix(".json")
    with report_file.open("w") as out:
        process = subprocess.Popen(
            command, env=environ, stdout=out, stderr=subprocess.PIPE, text=True
        )
        for line in process.stderr:
            if line.startswith("["):
                marks.append(time.perf_counter())
        process.wait()
    report = json.loads(report_file.read_text())
    assert len(marks) == WRITES, report["operations"]
    assert report["applied"], report["not_applied"]
    # The first answer came after its own duration: that is when the writes began.
    return marks[-1] - marks[0] + report["operations"][0]["seconds"]
