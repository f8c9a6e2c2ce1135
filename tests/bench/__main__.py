"""Runs every measurement and prints the table."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.access_bench import main as bench_access
from tests.bench.world import POLICY, desired, nodes, users

RUNS = 5
PYTHON = sys.executable


def once(command: Sequence[str], **options: object) -> tuple[float, float]:
    """Return (seconds, peak memory in MB) of one process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):
        raise SystemExit(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def by_turns(*commands: Sequence[str], **options: object) -> list[tuple[float, float]]:
    """Run commands by turns and return the best of each (seconds, MB)."""
    found: list[list[tuple[float, float]]] = [[] for _ in commands]
    for _ in range(RUNS):
        for results, command in zip(found, commands, strict=True):
            results.append(once(command, **options))
    return [min(results) for results in found]


def bench_plan(count: int, changed: int, *, imported: bool) -> None:
    """Time a plan; the changes are of tags, so that it works out access as well."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "policy.hujson").write_text(POLICY)
        file = Path(folder, "tailnet.yaml")
        listed = nodes(count, users(300))
        file.write_text(desired(listed, changed, imported=imported))
        server = subprocess.Popen(
            [PYTHON, "-m", "tests.bench.serve", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            port = server.stdout.readline().strip()
            url = f"http://127.0.0.1:{port}"
            environ = {**os.environ, "HEADSCALE_URL": url, "HEADSCALE_API_KEY": "bench"}
            floor, packages, plan = by_turns(
                [PYTHON, "-m", "tests.bench.floor", port, str(file)],
                [PYTHON, "-m", "tests.bench.floor", "--packages", port, str(file)],
                [PYTHON, "-m", "reconcile", "plan", "-f", str(file)],
                env=environ,
            )
        finally:
            server.stdin.close()
            asked = server.stdout.read().split()
            server.wait()
    lists = max(asked.count(f"/api/v1/{kind}") for kind in ("user", "node", "policy"))
    row(
        f"plan, {count} nodes, {'imported' if imported else 'spelled out'}, "
        f"{changed} changes",
        plan[0],
        floor[0],
        "2.5",
        f"x{plan[0] / packages[0]:.2f} with the packages imported; "
        f"{plan[1]:.0f} MB (150); list calls a kind: {lists // (3 * RUNS)}",
    )


def bench_help() -> None:
    floor, shown = by_turns(
        [PYTHON, "-c", "import click"], [PYTHON, "-m", "reconcile", "--help"]
    )
    row("--help", shown[0], floor[0], "3", "floor: python -c 'import click'")


def row(what: str, seconds: float, floor: float, target: str, remark: str) -> None:
    ratio = seconds / floor
    print(
        f"{what:<43} {seconds * 1000:8.0f} ms   floor {floor * 1000:6.0f} ms   "
        f"x{ratio:.2f} (target {target})   {remark}",
        flush=True,
    )


def main() -> None:
    bench_help()
    for imported in (True, False):
        for changed in (0, 10):
            bench_plan(1_000, changed, imported=imported)
            bench_plan(10_000, changed * 10, imported=imported)
    print("access of two policies and their diff, 10,000 nodes, 2,000 rules:")
    bench_access()
    if os.environ.get("HEADSCALE_BINARIES"):
        from tests.bench.real import bench_real

        bench_real(by_turns, row)
    else:
        print("real servers: skipped, HEADSCALE_BINARIES is not set")


if __name__ == "__main__":
    main()
