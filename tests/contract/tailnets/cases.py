"""A pair in a folder or in a recording: its files, and what a server made of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.contract.tailnets import edits, netmaps, state, trials
from tests.contract.tailnets.edits import Pair, files, policy_text
from tests.contract.tailnets.plans import make_plan
from tests.contract.tailnets.run import Result, judged
from tests.contract.tailnets.server import Side

_FILE = "server.json"


def save(folder: Path, result: Result) -> None:
    """Write a pair so that `reconcile plan --from live.json` tells it in the folder."""
    assert result.before
    folder.mkdir(parents=True, exist_ok=True)
    written = files(result.pair)
    written["live.json"] = result.before.saved
    if result.pair.before.policy is not None:
        written["policy-before.hujson"] = policy_text(result.pair.before.policy)
    written[_FILE] = json.dumps(to_json(result), indent=1) + "\n"
    written["README"] = "".join(f"{each}\n" for each in result.wrong)
    for name, text in written.items():
        (folder / name).write_text(text)


def load(folder: Path) -> Result:
    """Return a saved pair, with what the plan says of it now."""
    return again(from_json(json.loads((folder / _FILE).read_text())))


def again(result: Result) -> Result:
    """Return a pair as it is told now, held against what the server said then."""
    assert result.before
    _, told = make_plan(result.before.saved, result.pair)
    return judged(replace(result, told=told))


def to_json(result: Result) -> dict[str, Any]:
    """Return a pair and what the server made of it as JSON."""
    assert result.before
    assert result.after
    return {
        "release": result.release,
        "edits": edits.to_json(result.pair.edits),
        "before": side_to_json(result.before),
        "after": side_to_json(result.after),
    }


def from_json(value: dict[str, Any]) -> Result:
    """Return the pair that `to_json` wrote."""
    before, after = (side_of(value[name]) for name in ("before", "after"))
    changes = edits.from_json(value["edits"])
    pair = Pair(before.state, changes, after.state.policy)
    return Result(value["release"], pair, before, after)


def side_to_json(side: Side) -> dict[str, Any]:
    """Return a state and what a server made of it as JSON."""
    return {
        "state": state.to_json(side.state),
        "filter": [_folded(rule) for rule in side.filter],
        "ssh": side.ssh,
        "saved": _short(json.loads(side.saved)),
        "trials": trials.to_json(side.trials),
        **netmaps.to_json(side, _folded),
    }


# Of a node in a snapshot, what says nothing about access.
_IDLE = ("machine_key", "node_key", "last_seen", "created", "online", "ephemeral")


def _short(saved: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot without what is empty or idle in it."""
    for name in ("users", "nodes"):
        saved[name] = [
            {k: v for k, v in entry.items() if k == "name" or v not in ("", [])}
            for entry in saved[name]
        ]
    for node in saved["nodes"]:
        for name in _IDLE:
            node.pop(name, None)
    return saved


def side_of(value: dict[str, Any]) -> Side:
    """Return the side that `side_to_json` wrote."""
    saved = json.dumps(value["saved"])
    rules = [_unfolded(rule) for rule in value["filter"]]
    tried = trials.from_json(value.get("trials") or {"fewer": [], "tests": []})
    side = Side(state.from_json(value["state"]), rules, value["ssh"], saved, tried)
    return netmaps.told_of(side, value, _unfolded)


def _folded(rule: dict[str, Any]) -> dict[str, Any]:
    """Write the addresses of a rule once for each range of ports."""
    found: dict[str, list[str]] = {}
    for entry in rule.get("dst", ()):
        found.setdefault("-".join(map(str, entry["ports"])), []).append(entry["ip"])
    return {**rule, "dst": found}


def _unfolded(rule: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"ip": text, "ports": [int(port) for port in ports.split("-")]}
        for ports, texts in rule["dst"].items()
        for text in texts
    ]
    return {**rule, "dst": found}
