"""Play seeds.

usage: python -m tests.simulation SEED
       python -m tests.simulation COUNT --from SEED

One seed is told whatever became of it; of many, each that went wrong is, with the
command that repeats it. The exit code is 1 if there was any.
"""

import sys
from collections import Counter
from time import process_time

from tests.simulation.run import Tale, play


def main(arguments: list[str]) -> int:
    """Play the seeds; return 0, 1 where a law is broken, 64 for wrong usage."""
    match arguments:
        case [seed] if seed.isdigit():
            tale = play(int(seed))
            print(tale.text())
            return 1 if tale.wrong else 0
        case [count, "--from", seed] if count.isdigit() and seed.isdigit():
            return _many(int(count), int(seed))
    print(__doc__)
    return 64


def _many(count: int, first: int) -> int:
    began = process_time()
    happened: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    wrong = lost = 0
    for number in range(first, first + count):
        tale = play(number)
        happened += tale.happened
        codes += tale.codes
        wrong, lost = wrong + bool(tale.wrong), lost + tale.lost
        if tale.wrong:
            print(_short(tale), flush=True)
    seconds = process_time() - began
    print(f"{count} seeds from {first}: {wrong} wrong, {seconds:.1f} s of CPU")
    print("happened:", ", ".join(f"{k} {v}" for k, v in happened.most_common()))
    print("exit codes:", ", ".join(f"{k}: {v}" for k, v in sorted(codes.items())))
    print(f"overwritten between our last look and our write: {lost}")
    return 1 if wrong else 0


def _short(tale: Tale) -> str:
    first = "; ".join(dict.fromkeys(tale.wrong))
    return f"{first}\n  python -m tests.simulation {tale.seed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
