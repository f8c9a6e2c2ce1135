"""One seed: what it does, and what is wrong after it."""

import contextlib
import json
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.laws import Ledger, unmet
from tests.simulation.machine import Clock, Machine
from tests.simulation.making import Goal, Maker
from tests.simulation.wire import LIES, Wire
from tests.simulation.writer import Writer
from tests.support import call_git

_LISTS = {"users": "/user", "nodes": "/node", "policy": "/policy"}
# Two of these are not one: what the program sends twice in one run is wrong.
_ONCE = re.compile(r"POST /api/v1/user |PUT |DELETE |/node/\d+/rename/")
_IN_GIT = 0.02  # of the seeds: git takes longer than all the rest
_REF = ("for-each-ref", "--format=%(objectname)", "refs/reconcile/**/applied")
_BAD_WORDS = ("Traceback", "mistake in reconcile", "SECRET")
_SAVED = ["apply", "plan.json"]
APPLY = ["apply", "--auto-approve"]


@dataclass
class Tale:
    """What became of a seed: `wrong` is empty when every law held."""

    seed: int
    release: str = ""
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    lost: int = 0

    def text(self) -> str:
        """Return everything that explains what is wrong."""
        head = f"seed {self.seed} ({self.release})"
        again = f"repeat it: python -m tests.simulation {self.seed}"
        end = ["WRONG", *self.wrong] if self.wrong else ["every law held"]
        return "\n".join([head, *self.told, *end, again])


class Seed:
    """One run of everything from one number, in the current folder."""

    def __init__(self, number: int) -> None:
        self.dice = random.Random(f"simulation {number}")
        self.maker = Maker(self.dice)
        self.world = self.maker.world()
        self.goal = self.maker.goal(self.world)
        self.clock = Clock()
        self.machine = Machine(self.dice, self.clock)
        self.wire = Wire(self.world, self.dice, self.machine)
        self.wire.ledger = Ledger(self.goal, self.world)
        self.tale = Tale(number, self.maker.release)
        self.in_git = False

    def play(self) -> Tale:
        """Let everything go wrong, then nothing, and return what became of it."""
        with self.machine.on(self.wire):
            if self.dice.random() < _IN_GIT:
                self._applied_before()
            self._write(self.goal)
            for _ in range(self.dice.choice((1, 1, 2))):
                self._storm()
            self._calm()
        tale, wire = self.tale, self.wire
        tale.wrong += [f"touched: {text}" for text in wire.ledger.wrong]
        tale.lost, tale.happened = wire.ledger.lost, wire.happened
        tale.happened["disk"] += self.machine.disk.failed
        return tale

    def _write(self, goal: Goal) -> None:
        for name, text in goal.files().items():
            Path(name).write_text(text)
            self.tale.told += [f"--- {name}", text]
        if self.in_git:
            _git("add", "-A")
            _git("commit", "-qm", "change")

    def _applied_before(self) -> None:
        """Make a repository whose first commit was applied: others can conflict."""
        _git("init", "-q")
        self.in_git = True
        self._write(self.maker.as_it_is(self.world))
        code, _ = self.machine.run(APPLY)
        if code or self.wire.sent:
            self.tale.wrong.append(f"what is there already: exit {code}")

    def _storm(self) -> None:
        """Run a command or two while things go wrong."""
        self.wire.storm()
        share = self.dice.choice((0.0, 0.0, 0.05, 0.15))
        self.wire.writer = Writer(self.dice, self.goal, share) if share else None
        for words in self._words():
            if words != _SAVED or Path("plan.json").exists():
                self._run(words)

    def _words(self) -> list[list[str]]:
        dice = self.dice.random()
        if dice < 0.15:
            self.machine.disk.share = self.dice.choice((0.0, 0.3))
            return [["plan", "--out", "plan.json"], _SAVED]
        if dice < 0.2:
            return [["drift"], APPLY]
        more = (["--fail-fast"], ["--parallelism", "1"], ["--parallelism", "2"], [], [])
        return [[*APPLY, *self.dice.choice(more)]]

    def _run(self, words: list[str]) -> int:
        """Run a command, and hold what it says to what is true."""
        wire, tale = self.wire, self.tale
        wire.sent.clear()
        wire.log.clear()
        before, lies = len(wire.ledger.wrong), self._lies()
        code, printed = self.machine.run(words)
        tale.codes[code] += 1
        tale.told += [f"$ {' '.join(words)}", *wire.log, printed, f"exit {code}"]
        tale.wrong += [f"{word} is printed" for word in _BAD_WORDS if word in printed]
        if code not in (-9, 0, 1, 2, 3, 4, 5, 6, 7):
            tale.wrong.append(f"exit {code}")
        for request, times in wire.sent.items():
            if times > 1 and _ONCE.search(request):
                tale.wrong.append(f"sent {times} times: {request}")
        if words[0] in ("plan", "drift") and wire.sent:
            tale.wrong.append(f"{words[0]} wrote: {[*wire.sent]}")
        if not _whole(Path("plan.json")):
            tale.wrong.append("half a plan is written")
        if code == 0 and words[:2] == APPLY and self._lies() == lies:
            self._believe()
        tale.wrong += [f"{w} in this run" for w in wire.ledger.wrong[before:]]
        return code

    def _lies(self) -> int:
        return sum(self.wire.happened[name] for name in LIES)

    def _believe(self) -> None:
        """Hold a success to the server, when nobody wrote after it was read back."""
        read = {name.rpartition("/")[2] for name in self.wire.fresh}
        needed = {"user"} if self.goal.users is not None else set()
        needed |= {"node"} if self.goal.nodes else set()
        needed |= {"policy"} if self.goal.policy is not None else set()
        if needed <= read:
            found = unmet(self.goal, self.world, self.clock.at)
            self.tale.wrong += [f"exit 0, and {text}" for text in found]

    def _calm(self) -> None:
        """Let nothing go wrong any more: one apply converges, and then all is done."""
        self.wire.calm()
        self.machine.disk.share = 0.0
        if (code := self._run([*APPLY, "--ours"])) != 0:
            self.tale.wrong.append(f"the calm apply ended with {code}")
        if (code := self._run(["plan", "--check"])) != 0:
            self.tale.wrong.append(f"the plan after it ended with {code}")
        found = unmet(self.goal, self.world, self.clock.at)
        self.tale.wrong += [f"at the end {text}" for text in found]
        left = [name for name in os.listdir() if re.fullmatch(r"\.[0-9a-f]{16}", name)]
        self.tale.wrong += [f"a file is left: {name}" for name in left]
        if self.in_git and _git("rev-parse", "HEAD") != _git(*_REF):
            self.tale.wrong.append("the commit is not kept as applied")


def _git(*words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    return call_git(*who, *words)


def _whole(path: Path) -> bool:
    """Tell whether a file is JSON, or is not there."""
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def play(number: int) -> Tale:
    """Play one seed in a folder of its own."""
    with _folder():
        return Seed(number).play()


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        yield
