"""Real upgrades of random tailnets, held against what `upgrade` tells of them.

usage: python -m tests.contract.tailnets.upgrades OLD NEW COUNT SEED [FOLDER]
       python -m tests.contract.tailnets.upgrades record

Each tailnet with its policy is put into the database of the old release, which is asked
what it compiled. Then the new release is started on the same database. What it
compiled, or that it does not start, is what `upgrade --to NEW` had to tell from a
snapshot of the old one. HEADSCALE_BINARIES names the folder of the programs; FOLDER
takes the upgrades that are told wrongly. Exit code 1 if there was one. `record` keeps
some of each pair, of those that are told rightly, for a replay without any server.
"""

import contextlib
import json
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconcile.errors import InputError
from reconcile.jobs import access as inquiry
from reconcile.jobs.options import Options
from reconcile.live import snapshot
from reconcile.live.credential import Secret
from reconcile.live.server import connect
from reconcile.report import upgrade
from tests.contract import real
from tests.contract.policies.comparison import tolerated
from tests.contract.policies.server import PolicyServer
from tests.contract.tailnets import own, rows
from tests.contract.tailnets.cases import side_of, side_to_json
from tests.contract.tailnets.comparison import Comparison, Difference
from tests.contract.tailnets.edits import policy_text
from tests.contract.tailnets.making import Maker, Policies
from tests.contract.tailnets.server import Side
from tests.contract.tailnets.state import State
from tests.contract.tailnets.truth import Compiled

_KINDS = frozenset({"user", "node", "policy"})
PAIRS = (("0.26", "0.27"), ("0.27", "0.28"), ("0.28", "0.29"), ("0.29", "main"))
_NONE: Mapping[int, str] = {}
RECORDED = Path(__file__).parent / "recorded_upgrades"
_TRIED, _MOST = 60, 6
_OFTEN = 10  # between two lines of progress


@dataclass(frozen=True)
class Upgraded:
    """A tailnet on two releases; `after` is None where the new one does not start."""

    old: str
    new: str
    before: Side
    after: Compiled | None
    told: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> str:
        if self.differences:
            return "different"
        if not self.told:
            return "not read"
        if self.after is None:
            return "refused"
        return "changed" if self.told["changes"] else "alike"


class Upgrades:
    """Upgrades one database after another from one release to the next."""

    def __init__(self, old: str, new: str, folder: Path) -> None:
        self.old, self.new = old, new
        self._folder = folder
        seed = real.RealServer(old, "empty", folder / "seed")
        seed.prepare()
        self._key = rows.quick_key(folder / "seed" / "db.sqlite", seed.api_key)

    def ask(self, state: State, keys: Mapping[int, str] = _NONE) -> Upgraded | None:
        """Upgrade a state; None where the old release does not start with it.

        `keys` are the tags of the pre-auth keys that devices joined with, by device.
        """
        place = self._folder / "run"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._folder / "seed", place)
        rows.replace_all(place / "db.sqlite", state)
        _store(place / "db.sqlite", policy_text(state.policy), keys)
        before = self._look(self.old, state)
        if before is None:
            return None
        return held(self.old, self.new, before, self._look(self.new, state))

    def _look(self, release: str, state: State) -> Side | None:
        """Start a release on the database; None where it does not start."""
        server = real.RealServer(release, "empty", self._folder / "run")
        server.api_key = self._key
        try:
            server.start()
        except RuntimeError:
            server.stop(signal.SIGKILL)
            return None
        try:
            with PolicyServer(server) as asked:
                return _side(server, asked, state)
        finally:
            server.stop(signal.SIGKILL)


def _side(server: real.RealServer, asked: PolicyServer, state: State) -> Side:
    api = connect(server.url, Secret(server.api_key), writable=False)
    with contextlib.closing(api):
        live = api.read(_KINDS)
    for node in live.nodes or ():
        tags, approved = tuple(sorted(node.tags)), tuple(sorted(node.approved))
        state = state.with_device(int(node.id), tags=tags, approved=approved)
    return Side(state, asked.filter(), asked.logins(), snapshot.dumps(live))


def _store(database: Path, text: str, keys: Mapping[int, str]) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "insert into policies (created_at, updated_at, data) values (?, ?, ?)",
            [rows.MOMENT, rows.MOMENT, text],
        )
        for device, tag in keys.items():
            connection.execute(
                "insert into pre_auth_keys (id, key, user_id, reusable, tags,"
                " created_at, expiration) values (?, ?, 1, 1, ?, ?, ?)",
                [device, f"key{device}", json.dumps([tag]), rows.MOMENT, rows.MOMENT],
            )
            connection.execute(
                "update nodes set auth_key_id = ? where id = ?", [device, device]
            )
        connection.commit()


def held(old: str, new: str, before: Side, after: Compiled | None) -> Upgraded:
    """Hold what `upgrade` tells of one side against both."""
    try:
        told = tell(before.saved, new)
    except InputError as refusal:
        wrong = Difference(f"policy refused for {old}", 1, (str(refusal),))
        known = old == "0.26" and tolerated(str(refusal))
        return Upgraded(old, new, before, after, {}, () if known else (wrong,))
    found = tuple(_differences(old, new, before, after, told))
    return Upgraded(old, new, before, after, told, found)


def tell(saved: str, new: str) -> dict[str, Any]:
    """Return the JSON of `upgrade --to NEW --snapshot`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("live.json").write_text(saved)
        options = Options(("tailnet.yaml",), {}, snapshot="live.json")
        found = inquiry.upgraded(options, new)
    return json.loads(json.dumps(upgrade.as_json(found)))


def _differences(
    old: str, new: str, before: Side, after: Compiled | None, told: dict[str, Any]
) -> Iterator[Difference]:
    refused = [each["message"] for each in told["refused"]]
    if bool(refused) is not (after is None):
        said = "is told to be refused" if refused else "is told to be taken"
        yield Difference(f"policy {said}", 1, (str(refused),))
    elif after is not None:
        yield from Comparison(old, before, after, told, new).differences()


def upgraded(
    old: str, new: str, count: int, seed: str, folder: Path
) -> Iterator[Upgraded | None]:
    """Yield so many upgrades of random tailnets, None where the old one refuses."""
    maker, upgrades = Maker(old, f"upgrade {seed}"), Upgrades(old, new, folder)
    number = done = 0
    while done < count:
        number += 1
        ground = maker.ground()
        policy = Policies(old, f"{seed} {number}", ground.words).wanted()
        state = replace(ground.state, policy=policy).with_allowed_tags(old)
        if own.dropped(old, state) or own.dropped(new, state):
            continue  # the debug page of 0.27 does not show the groups that it drops
        found = upgrades.ask(state)
        done += found is not None
        yield found


# A case in a file.


def to_json(found: Upgraded) -> dict[str, Any]:
    """Return an upgrade and what both servers made of it as JSON."""
    after = found.after
    return {
        "old": found.old,
        "new": found.new,
        "before": {
            **side_to_json(found.before),
            "saved": json.loads(found.before.saved),
        },
        "after": side_to_json(after) if after else None,
    }


def from_json(value: dict[str, Any]) -> Upgraded:
    """Return the upgrade that `to_json` wrote, held again."""
    after = value["after"] and side_of(value["after"])
    return held(value["old"], value["new"], side_of(value["before"]), after)


def recorded(old: str, new: str) -> list[Upgraded]:
    """Return the recorded upgrades of a pair, as they are told now."""
    return [from_json(each) for each in json.loads(_file(old, new).read_text())]


def _file(old: str, new: str) -> Path:
    return RECORDED / f"{old}-{new}.json"


def record() -> None:
    """Keep upgrades that show a cause which no other one shows, and some others."""
    for old, new in PAIRS:
        seen: set[str] = set()
        kept = []
        with tempfile.TemporaryDirectory() as place:
            for found in upgraded(old, new, _TRIED, "recorded", Path(place)):
                if found is None or found.differences or len(kept) == _MOST:
                    continue
                causes = _shown(found) - seen
                if causes:
                    seen |= causes
                    kept.append(json.dumps(to_json(found)))
        _file(old, new).write_text("[\n" + ",\n".join(kept) + "\n]\n")
        print(old, new, len(kept), flush=True)


def _shown(found: Upgraded) -> set[str]:
    """Return what is to be seen in an upgrade: its verdict and its causes."""
    lines = [*found.told.get("gained", ()), *found.told.get("lost", ())]
    refused = [each["code"] for each in found.told.get("refused", ())]
    return {found.verdict, *refused, *(c for line in lines for c in line["because"])}


def main(arguments: list[str]) -> int:
    """Compare, print, and return 0, 1 for a difference, 64 for wrong usage."""
    if arguments == ["record"]:
        record()
        return 0
    if len(arguments) not in (4, 5):
        print(__doc__)
        return 64
    old, new, count, seed, *rest = arguments
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for found in upgraded(old, new, int(count), seed, Path(place)):
            verdict = found.verdict if found else "not taken by the old release"
            seen[verdict] += 1
            if found and found.differences:
                print("\n".join(map(str, found.differences)), flush=True)
                seen.update({each.kind for each in found.differences})
                if rest:
                    file = Path(rest[0], f"{old}-{new}-{sum(seen.values())}.json")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(to_json(found)))
            if sum(seen.values()) % _OFTEN == 0:
                print(_summary(old, new, seen), file=sys.stderr, flush=True)
    print(_summary(old, new, seen))
    return 1 if seen["different"] else 0


def _summary(old: str, new: str, seen: Counter[str]) -> str:
    return f"{old} -> {new}: " + ", ".join(f"{n} {what}" for what, n in seen.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
