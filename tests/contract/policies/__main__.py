"""Hold random policies against a real server.

usage: python -m tests.contract.policies RELEASE [COUNT [SEED]]

HEADSCALE_BINARIES names the folder of the servers. Prints every difference and, at the
end, how many policies were accepted, refused (and with words that are ours as well) and
read differently; exit code 1 if any was.
"""

import itertools
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.contract.policies.comparison import differences, in_the_same_words
from tests.contract.policies.mistakes import policies
from tests.contract.policies.server import serving
from tests.contract.policies.tailnet import NODES


def main(arguments: list[str]) -> int:
    """Compare, print, and return 0, 1 for a difference, 64 for wrong usage."""
    if not arguments:
        print(__doc__)
        return 64
    release, count, seed = (*arguments, *("200", "1")[len(arguments) - 1 :])
    seen: Counter[str] = Counter()
    before = {node.name: sorted(node.approved) for node in NODES}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(release, Path(folder, "server")) as server,
    ):
        for value in itertools.islice(policies(release, seed), int(count)):
            answer = server.ask(value, before)
            refusal = answer["refusal"]
            seen["accepted" if refusal is None else "refused"] += 1
            found = differences(release, answer)
            seen["different"] += bool(found)
            if found:
                print("\n".join(found[:4]))
                print(f"    {json.dumps(value, ensure_ascii=False)}", flush=True)
            elif refusal is not None:
                seen["in the same words"] += in_the_same_words(release, answer)
    print(f"{release}: " + ", ".join(f"{n} {what}" for what, n in seen.items()))
    return 1 if seen["different"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
