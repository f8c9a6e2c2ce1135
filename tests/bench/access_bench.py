"""Time the access diff on large tailnets.

`python -m tests.bench.access_bench` prints a line for each input of `tailnets`: seconds
of processor to read both policies, index the nodes, compute both accesses and their
diff; how many times that is the floor (json.loads of both policies and one pass over
the nodes); and the peak of memory. Each is the best of a few processes of its own.
A row `sees NAME` is what `access sees` asks: what the server shows to one node.
`python -m tests.bench.access_bench NAME NODES` is one such process, and the same with
`sees` behind it.
"""

import gc
import json
import random
import resource
import subprocess
import sys
import time

from reconcile.policy.access.difference import diff
from reconcile.policy.access.offers import Offers
from reconcile.policy.language.releases import release
from reconcile.policy.meaning.resolve import Resolver
from reconcile.policy.meaning.tailnet import Tailnet
from reconcile.policy.reading import read
from tests.bench.tailnets import INPUTS, Input

RUNS = 3
NODES = 10_000
TARGETS = {"team": 0.3, "hostile": 1.5}  # seconds; every other input 3
MOVES = ("moves", "hostile_moves")  # not among the inputs that have a target
SEES = ("team", "hostile", "routers")
GROWTH = (20_000, 40_000, 100_000)


def measure(made: Input) -> dict[str, float]:
    """Return what one diff takes, in seconds and MB."""
    texts = json.dumps(made.before), json.dumps(made.after)
    marks = [time.process_time()]

    def lap() -> None:
        marks.append(time.process_time())

    for text in texts:
        json.loads(text)
    {n.name: (n.user_id, n.tags, n.addresses) for n in made.nodes}
    lap()
    old = read(made.before, made.release)
    new = read(made.after, made.release, like=old)
    if old.errors:
        raise SystemExit(str(old.errors[:3]))
    lap()
    advertised = release(made.release).advertised_routes
    then = now = Tailnet(made.users, made.nodes, advertised=advertised)
    if made.later is not made.nodes:
        now = Tailnet(made.users, made.later, advertised=advertised, like=then)
    lap()
    found = diff((old, then), (new, now))
    lap()
    return {
        "floor": marks[1] - marks[0],
        "read": marks[2] - marks[1],
        "index": marks[3] - marks[2],
        "whole": marks[4] - marks[1],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before": found.totals.before,
        "after": found.totals.after,
    }


def measure_sees(made: Input) -> dict[str, float]:
    """Return what it takes to tell what a node is shown, and how many peers it has."""
    policy = read(made.before, made.release)
    advertised = release(made.release).advertised_routes
    tailnet = Tailnet(made.users, made.nodes, advertised=advertised)
    started = time.process_time()
    offers = Offers(policy, tailnet, Resolver(policy, tailnet))
    viewer = tailnet.machines[0]
    peers = offers.peers(viewer)
    withheld = list(offers.withheld(viewer, peers))
    taken = time.process_time() - started
    return {"whole": taken, "peers": len(peers), "withheld": len(withheld)}


def best(
    name: str, nodes: int, runs: int = RUNS, *, sees: bool = False
) -> dict[str, float]:
    """Return the best of some processes of their own."""
    command = [sys.executable, "-m", "tests.bench.access_bench", name, str(nodes)]
    command += ["sees"] if sees else []
    done = [
        json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(runs)
    ]
    return {key: min(each[key] for each in done) for key in done[0]}


def row(name: str, nodes: int, found: dict[str, float], remark: str) -> None:
    print(
        f"{name:<14} {nodes:>7} nodes {found['whole']:6.2f} s (read {found['read']:.2f}"
        f", index {found['index']:.2f})  x{found['whole'] / found['floor']:<4.0f} "
        f"{found['memory']:5.0f} MB  {found['before']:.0f} -> {found['after']:.0f} "
        f"paths   {remark}",
        flush=True,
    )


def main() -> None:
    """Time every input, and how the first two grow with the nodes."""
    for name in INPUTS:
        limit = f"target {TARGETS.get(name, 3)} s"
        row(name, NODES, best(name, NODES), "" if name in MOVES else limit)
    for name in SEES:
        found = best(name, NODES, sees=True)
        shown = f"{found['peers']:.0f} peers, {found['withheld']:.0f} routes not shown"
        print(f"sees {name:<9} {NODES:>7} nodes {found['whole']:6.2f} s {shown}")
    for name in TARGETS:
        base = best(name, NODES)["whole"] / NODES
        for nodes in GROWTH:
            found = best(name, nodes, runs=1)
            each = found["whole"] / nodes / base
            row(
                name,
                nodes,
                found,
                f"a node costs {each:.2f} of what it does among 10,000",
            )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        gc.disable()  # as the program does
        made = INPUTS[sys.argv[1]](random.Random(7), int(sys.argv[2]))
        ask = measure_sees if "sees" in sys.argv[3:] else measure
        print(json.dumps(ask(made)))
