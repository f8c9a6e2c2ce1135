"""Shapes of what stands beside a file: large tailnets, saved plans, worlds, many files."""

import json
from collections.abc import Iterator

from tests.bench import bounds
from tests.bench.bounds import Shape, filled, in_snapshot, user_of, yaml_file
from tests.bench.bounds import node_of as node

NODES = 10_000
_RULE = "    - {{ action: accept, src: [u{0}@], dst: ['u{1}@:{2}'] }}\n"
_ASKED = ("plan", "access list", "access diff", "upgrade --to 0.27", "validate", "test")


def _crowd(count: int = NODES) -> str:
    """Return a snapshot of users with fifty nodes each; every tenth node has a tag."""
    users = [user_of(number) for number in range(1, count // 50 + 2)]
    nodes = [
        node(n, user_id=str(n // 50 + 1), tags=[f"tag:t{n % 100}"] * (n % 10 == 0))
        for n in range(1, count + 1)
    ]
    return in_snapshot(users, nodes, '{"acls": []}')


def _asked(live: str, body: str, command: str) -> Shape:
    files = {"live.json": live, "tailnet.yaml": "version: 1\n" + body}
    return files, [*command.split(), "--snapshot", "live.json"]


def policies_beside_nodes() -> Iterator[tuple[str, Shape]]:
    """Yield a policy of a megabyte beside ten thousand nodes, asked in every way."""
    live = _crowd()
    people = NODES // 50
    rules = filled(
        lambda n: _RULE.format(n % people + 1, n * 7 % people + 1, n % 60000 + 1)
    )
    equal = filled(lambda n: _RULE.format(1, 2, 22))
    wide = filled(lambda n: f"    - {{ action: accept, src: ['*'], dst: ['*:{n}'] }}\n")
    tags = filled(
        lambda n: (
            f"    - {{ action: accept, src: [tag:t{n % 100}],"
            f" dst: ['tag:t{n * 7 % 100}:{n % 60000 + 1}'] }}\n"
        )
    )
    owners = "".join(f"    tag:t{n}: [u1@]\n" for n in range(100))
    tagged = f"  tagOwners:\n{owners}  acls:\n{tags}"
    for command in _ASKED:
        yield f"rules beside nodes, {command}", _of_policy(live, rules, command)
    for command in ("plan", "access list"):
        yield f"equal rules beside nodes, {command}", _of_policy(live, equal, command)
        yield f"wide rules beside nodes, {command}", _of_policy(live, wide, command)
        shape = _asked(live, f"policy:\n{tagged}", command)
        yield f"rules of tags beside nodes, {command}", shape
    why = "access why n1 n77:22"
    yield f"rules beside nodes, {why}", _of_policy(live, rules, why)


def _of_policy(live: str, rules: str, command: str) -> Shape:
    return _asked(live, f"policy:\n  acls:\n{rules}", command)


def sections_beside_nodes() -> Iterator[tuple[str, Shape]]:
    """Yield long sections that are held against many nodes."""
    live = _crowd(1000)
    acls = "policy: { acls: [{ action: accept, src: ['*'], dst: ['*:22'] }] }\n"
    sections = {
        "asserts": lambda n: (
            f"  - no: {{ from: u{n % 20 + 1}@, to: 'node:n{n + 1}' }}\n"
        ),
        "removed": lambda n: f"  - node:x{n}\n",
        "accepts": lambda n: f"  - {{ code: RC0207, for: 'node:n{n}', because: x }}\n",
        "node_rules": lambda n: (
            f"  - {{ match: {{ name: 'n{n}*' }}, tags: [tag:t] }}\n"
        ),
        "nodes": lambda n: f"  n{n + 1}: {{ tags: [tag:t{n}] }}\n",
        "users": lambda n: f"  u{n + 1}: {{}}\n",
        "former names": lambda n: f"  v{n + 1}: {{ was: u{n + 1} }}\n",
    }
    keys = {"asserts": "assert", "accepts": "accept", "former names": "users"}
    for name, make in sections.items():
        body = f"{acls}{keys.get(name, name)}:\n{filled(make)}"
        for command in ("plan", "test") if name == "asserts" else ("plan",):
            yield f"{name} beside nodes, {command}", _asked(live, body, command)
    same = filled(lambda n: "  - { match: { name: 'n*' }, tags: [tag:t] }\n")
    yield "equal node_rules, plan", _asked(live, f"node_rules:\n{same}", "plan")


def saved() -> Iterator[tuple[str, Shape]]:
    """Yield saved plans, snapshots and worlds that hold what they should not."""
    size = bounds.SIZE
    plain = {"plan_version": "1", "changes": [], "server": {}}
    odd = {
        "empty maps": "[" + "{}, " * (size // 4) + "{}]",
        "numbers": "[" + "1, " * (size // 3) + "1]",
        "one number": "9" * size,
        "floats": "[" + "1e999, " * (size // 7) + "1]",
        "escapes": '"' + r"\u0000" * (size // 6) + '"',
        "keys": "{" + filled(lambda n: f'"k{n}": 1', between=", ") + "}",
        "repeated keys": "{" + '"a": 1, ' * (size // 8) + '"a": 1}',
        "open brackets": "[" * size,
        "changes": json.dumps({**plain, "changes": [{}] * (size // 4)}),
        "texts as changes": json.dumps({**plain, "changes": ["x"] * (size // 5)}),
    }
    for name, text in odd.items():
        yield f"{name} as a plan", ({"p.json": text}, ["show", "p.json"])
        live = {"live.json": text, "tailnet.yaml": "version: 1\nusers: {}\n"}
        yield f"{name} as a snapshot", (live, ["plan", "--snapshot", "live.json"])
        world = "server: { url: 'simulator:w.json' }\nusers: {}\n"
        files = {"w.json": text, "tailnet.yaml": "version: 1\n" + world}
        yield f"{name} as a world", (files, ["plan"])


def many_files() -> Iterator[tuple[str, Shape]]:
    """Yield thousands of small files that together have a megabyte."""
    count = bounds.SIZE // 200
    users = {f"part{n}.yaml": f"users: {{ u{n}: {{}} }}\n" for n in range(count)}
    main = {"tailnet.yaml": "version: 1\ninclude: ['part*.yaml']\n"}
    yield "many files", ({**users, **main}, ["validate", "-f", "tailnet.yaml"])
    named = filled(lambda n: f"  - part{n % count}.yaml\n")
    again = {"tailnet.yaml": f"version: 1\ninclude:\n{named}"}
    yield "one file often", ({**users, **again}, ["validate", "-f", "tailnet.yaml"])
    chain = {
        f"part{n}.yaml": f"include: [part{n + 1}.yaml]\nusers: {{ u{n}: {{}} }}\n"
        for n in range(count - 1)
    }
    chain |= {f"part{count - 1}.yaml": "users: { last: {} }\n"}
    first = {"tailnet.yaml": "version: 1\ninclude: [part0.yaml]\n"}
    yield "a chain of files", ({**chain, **first}, ["validate", "-f", "tailnet.yaml"])
    parts = {
        f"p{n}.hujson": f'{{"groups": {{"group:g{n}": ["u@"]}}}}' for n in range(count)
    }
    base = {"base.hujson": '{"acls": []}'}
    body = "version: 1\npolicy: { files: [base.hujson, 'p*.hujson'] }\n"
    files = {**parts, **base, "tailnet.yaml": body}
    yield "many files of a policy", (files, ["validate", "-f", "tailnet.yaml"])
    overlaid = filled(
        lambda n: f"  s{n}: {{ url: 'https://s{n}' }}\n", bounds.SIZE // 3
    )
    over = filled(
        lambda n: f"  s{n}: {{ users: {{ u{n}: {{}} }} }}\n", bounds.SIZE // 3
    )
    people = filled(lambda n: f"  u{n}: {{}}\n", bounds.SIZE // 3)
    servers = f"servers:\n{overlaid}overlays:\n{over}users:\n{people}"
    yield "servers, overlays and users", yaml_file(servers)
    every = ["plan", "--server", "all"]
    files, _ = yaml_file(f"servers:\n{overlaid}users:\n{people}")
    yield "users of many servers", (files, ["validate", "-f", "tailnet.yaml"])
    yield "users of many servers, plan", (files, every)


def long_names() -> Iterator[tuple[str, Shape]]:
    """Yield one long name in every place that has names."""
    long = "x" * bounds.SIZE
    for name, body in {
        "section": f"{long}: 1\n",
        "node": f"nodes: {{ {long}: {{}} }}\n",
        "server": f"servers: {{ {long}: {{ url: 'https://x' }} }}\n",
        "tag": f"nodes: {{ a: {{ tags: ['tag:{long}'] }} }}\n",
        "route": f"nodes: {{ a: {{ routes: {{ approve: ['{long}'] }} }} }}\n",
        "removed": f"removed: ['node:{long}']\n",
        "include": f"include: ['{long}']\n",
        "variable": f"users: {{ a: {{ email: '${{{long}}}' }} }}\n",
        "group": f"policy: {{ acls: [], groups: {{ 'group:{long}': [a@] }} }}\n",
        "host": f"policy: {{ acls: [], hosts: {{ {long}: 10.0.0.1 }} }}\n",
        "owner": f"policy: {{ acls: [], tagOwners: {{ 'tag:{long}': [a@] }} }}\n",
        "accept": f"accept: [{{ code: RC0207, for: '{long}', because: x }}]\n",
        "assert": f"assert: [{{ no: {{ from: '{long}', to: a@ }} }}]\n",
    }.items():
        key = f"long name, {name}"
        yield key, _asked(_crowd(10), body, "plan")


GROUPS = (
    policies_beside_nodes,
    sections_beside_nodes,
    saved,
    many_files,
    long_names,
)
