"""Law of rollback: any live state, taken anywhere by an apply, comes back.

Except for what a server has no way to bring back, which is told; what others did in
between stays; and a rollback that was cut off goes on.
"""

import json
import os
import shutil
from copy import deepcopy
from pathlib import Path

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from reconcile.errors import Unreachable
from reconcile.live.headscale.adapter import Headscale

EXAMPLES = int(os.environ.get("RECONCILE_ROLLBACKS", "15"))
TAGS = ("tag:a", "tag:b")
ROUTES = ("10.1.0.0/16", "10.2.0.0/16", "0.0.0.0/0", "::/0")
EXITS = {"0.0.0.0/0", "::/0"}
FOREIGN = "10.99.0.0/16"  # what somebody else approves
NAMES = ("ann", "ben", "cid", "dan", "eve")
POLICIES = tuple(
    json.dumps({"tagOwners": {tag: [] for tag in TAGS}, **more}) + "\n"
    for more in (
        {"acls": []},
        {"acls": [{"action": "accept", "src": ["tag:a"], "dst": ["tag:b:22"]}]},
        {"acls": [{"action": "accept", "src": ["*"], "dst": ["*:80"]}],
         "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:a"]}, "exitNode": ["tag:b"]}},
    )
)  # fmt: skip
expiries = st.sampled_from([None, "2040-01-01T00:00:00Z", "2041-01-01T00:00:00Z"])
tags = st.lists(st.sampled_from(TAGS), unique=True)


@st.composite
def worlds(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    users = [
        {"id": n, "name": name, "email": f"{name}@x.example"}
        for n, name in enumerate(names, 1)
    ]
    nodes, policy = [], draw(st.sampled_from([None, *POLICIES]))
    for number in range(1, draw(st.integers(1, 4)) + 1):
        worn = draw(tags)
        owner = {} if worn else {"user": draw(st.integers(1, len(users)))}
        offered = draw(st.lists(st.sampled_from(ROUTES[:2]), unique=True))
        offered += draw(st.sampled_from([[], [*EXITS]]))
        approved = [r for r in offered if r not in EXITS and draw(st.booleans())]
        if policy == POLICIES[-1]:  # which has approved its part already
            own = [r for r in offered if ("tag:b" if r in EXITS else "tag:a") in worn]
            approved = [*{*approved, *own}]
        nodes.append(
            {"id": number, "name": f"node-{number}", "tags": worn, "routes": offered}
            | {"approved": approved, "expiry": draw(expiries)} | owner
        )  # fmt: skip
    stored = {"policy": {"text": policy, "updated": "2030-01-01T00:00:00Z"}}
    return {
        "emulate": draw(st.sampled_from(["0.27", "0.28", "0.29", "main"])),
        "users": users,
        "nodes": nodes,
        **(stored if policy else {}),
    }


def wanted_users(draw, world):
    """Keep, rename and remove users, exchange the names of two, and make one."""
    names = [user["name"] for user in world["users"]]
    owners = {names[node["user"] - 1] for node in world["nodes"] if "user" in node}
    users, removed = {}, []
    if len(names) > 1 and draw(st.booleans()):
        one, two, *names = names
        users[one] = {"was": two, "email": f"{two}@x.example"}
        users[two] = {"was": one, "email": f"{one}@x.example"}
    for name in names:
        match draw(st.sampled_from(["keep", "rename", "remove"])):
            case "rename":
                users[f"{name}-2"] = {"was": name}
            case "remove" if name not in owners:
                removed.append(f"user:{name}")
            case _:
                users[name] = {}
    if draw(st.booleans()):
        users["new"] = {}
    return users, removed


def wanted_node(draw, node, release):
    entry = {"match": {"id": str(node["id"])}}
    worn = draw(st.one_of(st.none(), tags))
    if worn or (worn == [] and not node["tags"]):
        entry["tags"] = worn
    if draw(st.booleans()):
        approve = draw(st.lists(st.sampled_from(ROUTES[:2]), unique=True))
        entry["routes"] = {"approve": approve, "mode": "at-least"}
    if draw(st.booleans()):
        entry["exit_node"] = True
    expiry = draw(expiries)
    if expiry or (release in ("0.29", "main") and draw(st.booleans())):
        entry["expiry"] = expiry or "never"
    return entry


@st.composite
def stories(draw):
    """Return a world, and files that lead away from it."""
    world = draw(worlds())
    users, removed = wanted_users(draw, world)
    nodes = {}
    for node in world["nodes"]:
        match draw(st.sampled_from(["leave", "change", "change", "rename", "remove"])):
            case "change":
                nodes[node["name"]] = wanted_node(draw, node, world["emulate"])
            case "rename":
                entry = wanted_node(draw, node, world["emulate"])
                nodes[f"{node['name']}-x"] = entry
            case "remove":
                removed.append(f"node:{node['name']}")
    files = {"version": 1, "users": users, "nodes": nodes, "removed": removed}
    return world, files, draw(st.sampled_from(POLICIES)), draw(st.integers(0, 12))


def live(command):
    assert command("snapshot", "-o", "live.json")[0] == 0
    found = json.loads(Path("live.json").read_text())
    for node in found["nodes"]:
        del node["created"]
    return {name: found[name] for name in ("users", "nodes", "policy")}


def by_others():
    """Let somebody make a user, and approve a route of each node."""
    world = json.loads(Path("world.json").read_text())
    world.setdefault("users", []).append({"id": 90, "name": "zoe"})
    for node in world.get("nodes", ()):
        node["approved"] = [*node.get("approved", ()), FOREIGN]
    Path("world.json").write_text(json.dumps(world))


def expected(before, after, release):
    """Return what is to be there: what was, with what others did, less what is lost."""
    want = deepcopy(before)
    left = {node["id"]: node for node in after["nodes"]}
    want["nodes"] = [node for node in want["nodes"] if node["id"] in left]
    for node in want["nodes"]:
        now = left[node["id"]]
        node["approved"] = sorted([*node["approved"], FOREIGN])
        if release not in ("0.26", "0.27") and now["tags"] and not node["tags"]:
            node |= {"tags": now["tags"], "user_id": None}
        if release in ("0.27", "0.28") and node["expiry"] is None:
            node["expiry"] = now["expiry"]
    if before["policy"]["text"] is None:
        want["policy"] = after["policy"]
    want["users"].append({**want["users"][0], "id": "90", "name": "zoe", "email": ""})
    return without_ids(want)


def without_ids(state):
    """Return a state in which users are told by name: one who was removed has a new id."""
    names = {user["id"]: user["name"] for user in state["users"]}
    users = sorted((u | {"id": ""} for u in state["users"]), key=lambda u: u["name"])
    nodes = [n | {"user_id": names.get(n["user_id"])} for n in state["nodes"]]
    return {**state, "users": users, "nodes": nodes}


def approved_anyway(out):
    """Return the routes that a plan says the policy approves, wanted or not, by node."""
    plan = json.loads(out)["servers"][0]
    told = {
        one["server_id"]: {*ROUTES}
        for one in plan["stuck"]
        if {"routes", "exit_node"} & one["after"].keys()
    }
    for one in plan["access"]["set_off"] if plan["access"] else ():
        told.setdefault(one["server_id"], set()).update(one["routes"])
    return told


def less(state, told):
    """Return a state without the approvals that were told to come."""
    for node in state["nodes"]:
        node["approved"] = sorted({*node["approved"]} - told.get(node["id"], set()))
    return state


@given(stories())
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[*HealthCheck],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a failing one is short
)
def test_what_was_comes_back(tmp_path, command, monkeypatch, story):
    world, files, policy, cut = story
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)
    Path("world.json").write_text(json.dumps(world))
    Path("policy.hujson").write_text(policy)
    document = {**files, "policy": {"file": "policy.hujson"}}
    Path("tailnet.yaml").write_text(json.dumps(document))
    before = live(command)
    code, out, err = command("apply", "--auto-approve", "--backup", "kept")
    if "Backup: " not in out:
        event("refused, or nothing to do")
        return
    event("applied")
    assert code == 0, out + err
    after = live(command)
    by_others()
    (path,) = map(str, Path("kept").iterdir())

    write, left = Headscale.write, [cut]

    def cut_off(self, operation):
        left[0] -= 1
        if left[0] < 0:
            raise Unreachable("gone")
        write(self, operation)

    back = "rollback", path, "--auto-approve", "--format", "json"
    with monkeypatch.context() as patch:
        patch.setattr(Headscale, "write", cut_off)
        _, cut_out, _ = command(*back)
    code, out, err = command(*back)
    assert code == 0, out + err
    if "run this again" in err:
        assert command(*back)[0] == 0
    told = {**approved_anyway(cut_out), **approved_anyway(out)}
    want = expected(before, after, world["emulate"])
    assert less(without_ids(live(command)), told) == less(want, told)
    code, out, _ = command("rollback", path)
    assert (code, "Plan:" in out) == (0, False), out
