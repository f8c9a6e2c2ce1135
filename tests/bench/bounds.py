"""Time and memory of files of one megabyte, of every shape that is meant to be costly.

`python -m tests.bench.bounds [WORD ...]` prints a row for each shape whose name holds
one of the words: seconds of CPU time, the peak of memory, and how the command ended.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SIZE = 10**6
_HEAD = "version: 1\n"
_MEMORY, _SECONDS = 6 * 2**30, 30
Shape = tuple[dict[str, str], list[str]]


def filled(make: Callable[[int], str], size: int = SIZE, between: str = "") -> str:
    """Return texts of rising numbers, as many as fit."""
    parts, length, number = [], 0, 0
    while True:
        part = make(number)
        length += len(part) + len(between)
        if length > size:
            return between.join(parts)
        parts.append(part)
        number += 1


def yaml_file(body: str) -> Shape:
    return {"tailnet.yaml": _HEAD + body}, ["validate", "-f", "tailnet.yaml"]


def _policy(text: str) -> Shape:
    main = _HEAD + "policy: { file: policy.hujson }\n"
    files = {"tailnet.yaml": main, "policy.hujson": text}
    return files, ["validate", "-f", "tailnet.yaml"]


def _section(name: str, body: str) -> str:
    return f'{{"{name}": {body}, "acls": [{_RULE}]}}'


_RULE = '{"action": "accept", "src": ["a@"], "dst": ["b@:22"]}'


def _rules(count: int = 40) -> str:
    return "[" + ", ".join([_RULE] * count) + "]"


def in_snapshot(users: list, nodes: list, policy: str | None = None) -> str:
    server = {
        "type": "headscale",
        "url": "https://hs.example.com",
        "version": "0.29.2",
        "release": "0.29",
        "lacking": {},
        "caveats": {},
        "tags_need_owner": True,
        "tagging_drops_user": True,
    }
    return json.dumps(
        {
            "snapshot_version": "2",
            "taken_at": "2030-01-01T00:00:00Z",
            "server": server,
            "users": users,
            "nodes": nodes,
            "policy": {"text": policy, "writable": True} if policy else None,
        }
    )


def user_of(number: int, **more: object) -> dict:
    entry = {"id": str(number), "name": f"u{number}", "display_name": "", "email": ""}
    return {**entry, "provider": "", "provider_id": "", **more}


def node_of(number: int, **more: object) -> dict:
    address = f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return {
        "id": str(number),
        "name": f"n{number}",
        "hostname": f"n{number}",
        "user_id": "1",
        "tags": [],
        "key_tags": [],
        "asked_tags": [],
        "approved": [],
        "available": [],
        "expiry": None,
        "addresses": [address],
        "machine_key": f"mkey:{number:064x}",
        "node_key": f"nodekey:{number:064x}",
        "preauth_key": "",
        "ephemeral": False,
        "online": True,
        "last_seen": "",
        "created": "",
    } | more


def _live(text: str, command: list[str], body: str) -> Shape:
    files = {"live.json": text, "tailnet.yaml": _HEAD + body}
    return files, [*command, "--snapshot", "live.json"]


def _yaml_shapes() -> Iterator[tuple[str, Shape]]:
    long = filled(lambda n: f"u{n}: {{}}", between=", ")
    yield "one line of users", yaml_file(f"users: {{ {long} }}\n")
    wrong = filled(lambda n: f"u{n}: {{ x: 1 }}", between=", ")
    yield "one line of mistakes", yaml_file(f"users: {{ {wrong} }}\n")
    yield (
        "many mistakes",
        yaml_file("users:\n" + filled(lambda n: f"  u{n}: {{ x: 1 }}\n")),
    )
    yield "mistaken sections", yaml_file(filled(lambda n: f"usrs{n}: 1\n"))
    yield "many users", yaml_file("users:\n" + filled(lambda n: f"  u{n}: {{}}\n"))
    yield (
        "near users",
        yaml_file("users: {}\nremoved:\n" + filled(lambda n: f"  - node:u{n}\n")),
    )
    nodes = filled(lambda n: f"  n{n}: {{ tags: [tag:a{n}] }}\n")
    yield "many nodes", yaml_file("nodes:\n" + nodes)
    tags = filled(lambda n: f"tag:a{n}", between=", ")
    yield "tags of one node", yaml_file(f"nodes: {{ nas: {{ tags: [{tags}] }} }}\n")
    routes = filled(lambda n: f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32", between=", ")
    yield (
        "routes of one node",
        yaml_file(f"nodes: {{ nas: {{ routes: {{ approve: [{routes}] }} }} }}\n"),
    )
    yield "one long name", yaml_file(f"users: {{ {'a' * SIZE}: {{}} }}\n")
    yield "one long text", yaml_file(f"users: {{ a: {{ email: '{'a' * SIZE}' }} }}\n")
    yield "same key again", yaml_file("users:\n" + "  a: {}\n" * (SIZE // 8))
    yield "same key, one line", yaml_file(f"users: {{ {'a: {}, ' * (SIZE // 7)} }}\n")
    yield "nulls", yaml_file("users:\n" + filled(lambda n: f"  u{n}:\n"))
    yield (
        "variables",
        yaml_file("users:\n" + filled(lambda n: f"  u{n}: {{ email: '${{X{n}}}' }}\n")),
    )
    deep = "[" * (SIZE // 2) + "]" * (SIZE // 2)
    yield "deep lists", yaml_file(f"users: {deep}\n")
    yield "open lists", yaml_file(f"users: {'[' * SIZE}\n")
    block = "".join(f"{' ' * n}a:\n" for n in range(1400))
    yield "deep maps", yaml_file(block)
    laugh = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    yield "aliases of aliases", yaml_file(laugh)
    text = "x" * (SIZE // 2)
    many = "*t, " * (SIZE // 8)
    yield (
        "aliases of a long text",
        yaml_file(f"users: {{ a: &t {text} }}\nremoved: [{many}]\n"),
    )
    yield (
        "aliases of long keys",
        yaml_file(
            f"users: {{ a: &t {{ {'x' * 1000}: 1 }} }}\nx: [{'*t, ' * (SIZE // 4)}]\n"
        ),
    )
    yield "anchors", yaml_file("users:\n" + filled(lambda n: f"  u{n}: &a{n} {{}}\n"))
    merge = "{ " + filled(lambda n: f"k{n}: 1", SIZE // 100, ", ") + " }"
    merges = filled(lambda n: f"  u{n}: {{ <<: *m }}\n")
    yield "merges", yaml_file(f"users:\n  m: &m {merge}\n{merges}")
    yield (
        "merged lists",
        yaml_file(
            f"users:\n  m: &m {merge}\n  n: {{ <<: [{'*m, ' * (SIZE // 8)}] }}\n"
        ),
    )
    yield (
        "huge numbers",
        yaml_file("x: [" + ("9" * 5000 + ", ") * (SIZE // 5002) + "]\n"),
    )
    yield "one huge number", yaml_file(f"x: {'9' * SIZE}\n")
    yield "comments", yaml_file("# " + "x" * 60 + "\n" + "#\n" * (SIZE // 2))
    yield "custom tags", yaml_file("x: [" + "!a b, " * (SIZE // 6) + "]\n")
    yield "documents", yaml_file("---\n" * (SIZE // 4))
    yield "open quotes", yaml_file('x: "' + "a\n" * (SIZE // 2))
    yield (
        "globs",
        yaml_file("include: [" + filled(lambda n: f"'*{n}*/*'", 10**5, ", ") + "]\n"),
    )
    yield (
        "asserts",
        yaml_file(
            "assert:\n" + filled(lambda n: f"  - no: {{ from: u{n}@, to: v{n}@ }}\n")
        ),
    )
    yield (
        "accepts",
        yaml_file(
            "accept:\n"
            + filled(
                lambda n: f"  - {{ code: RC0207, for: 'node:n{n}', because: x }}\n"
            )
        ),
    )
    servers = filled(lambda n: f"  s{n}: {{ type: headscale, url: 'https://s{n}' }}\n")
    yield "servers", yaml_file("servers:\n" + servers)
    inline = filled(lambda n: f"    group:g{n}: [u{n}@]\n")
    yield "inline groups", yaml_file(f"policy:\n  acls: []\n  groups:\n{inline}")


def _policy_shapes() -> Iterator[tuple[str, Shape]]:
    groups = filled(lambda n: f'"group:g{n}": ["u{n}@"]', between=",\n")
    yield "groups", _policy(_section("groups", f"{{{groups}}}"))
    line = groups.replace("\n", " ")
    yield "groups on one line", _policy(_section("groups", f"{{{line}}}"))
    used = filled(
        lambda n: (
            f'{{"action": "accept", "src": ["group:g{n}"], "dst": ["group:g{n}:22"]}}'
        ),
        SIZE * 2 // 3,
        ",\n",
    )
    some = filled(lambda n: f'"group:g{n}": ["u{n}@"]', SIZE // 3, ",\n")
    yield "groups that are used", _policy(f'{{"groups": {{{some}}}, "acls": [{used}]}}')
    one = filled(lambda n: f'"u{n}@"', between=", ")
    yield "one group", _policy(_section("groups", f'{{"group:g": [{one}]}}'))
    hosts = filled(
        lambda n: f'"h{n}": "10.{n >> 16}.{n >> 8 & 255}.{n & 255}"', between=",\n"
    )
    yield "hosts", _policy(_section("hosts", f"{{{hosts}}}"))
    owners = filled(lambda n: f'"tag:t{n}": ["a@"]', between=",\n")
    yield "tag owners", _policy(_section("tagOwners", f"{{{owners}}}"))
    chain = filled(lambda n: f'"tag:t{n}": ["tag:t{n + 1}"]', between=",\n")
    yield "chain of tag owners", _policy(_section("tagOwners", f"{{{chain}}}"))
    rule = '{{"action": "accept", "src": ["u{0}@"], "dst": ["v{0}@:{1}"]}}'
    rules = filled(lambda n: rule.format(n, n % 60000 + 1), between=",\n")
    yield "rules", _policy(f'{{"acls": [{rules}]}}')
    yield "rules on one line", _policy(f'{{"acls": [{rules}]}}'.replace("\n", " "))
    same = filled(lambda n: rule.format(1, n % 60000 + 1), between=",\n")
    yield "rules of one source", _policy(f'{{"acls": [{same}]}}')
    wide = filled(lambda n: rule.format(1, f"1-{n + 2},{n + 4}-65535"), between=",\n")
    yield "rules of many ports", _policy(f'{{"acls": [{wide}]}}')
    equal = filled(lambda n: _RULE, between=",\n")
    yield "equal rules", _policy(f'{{"acls": [{equal}]}}')
    sources = filled(lambda n: f'"u{n}@"', between=", ")
    yield (
        "sources of one rule",
        _policy(
            f'{{"acls": [{{"action": "accept", "src": [{sources}], "dst": ["*:*"]}}]}}'
        ),
    )
    dsts = filled(
        lambda n: f'"10.0.{n >> 8 & 255}.{n & 255}:{n % 60000 + 1}"', between=", "
    )
    yield (
        "destinations of one rule",
        _policy(f'{{"acls": [{{"action": "accept", "src": ["*"], "dst": [{dsts}]}}]}}'),
    )
    ports = filled(lambda n: str(n % 30000 * 2 + 1), between=",")
    yield (
        "ports of one rule",
        _policy(
            f'{{"acls": [{{"action": "accept", "src": ["*"], "dst": ["*:{ports}"]}}]}}'
        ),
    )
    grant = '{{"src": ["u{0}@"], "dst": ["v{0}@"], "ip": ["tcp:{1}"]}}'
    grants = filled(lambda n: grant.format(n, n % 60000 + 1), between=",\n")
    yield "grants", _policy(f'{{"grants": [{grants}]}}')
    ssh = (
        '{{"action": "accept", "src": ["u{0}@"], "dst": ["u{0}@"], "users": ["root"]}}'
    )
    yield (
        "ssh rules",
        _policy(_section("ssh", f"[{filled(lambda n: ssh.format(n), between=',')}]")),
    )
    test = '{{"src": "u{0}@", "accept": ["v{0}@:22"]}}'
    yield (
        "tests",
        _policy(
            _section("tests", f"[{filled(lambda n: test.format(n), between=',')}]")
        ),
    )
    attrs = '{{"target": ["u{0}@"], "attr": ["funnel"]}}'
    yield (
        "node attributes",
        _policy(
            _section("nodeAttrs", f"[{filled(lambda n: attrs.format(n), between=',')}]")
        ),
    )
    route = '"10.{0}.{1}.{2}/32": ["tag:t"]'
    approvers = filled(
        lambda n: route.format(n >> 16, n >> 8 & 255, n & 255), between=","
    )
    yield (
        "approvers",
        _policy(_section("autoApprovers", f'{{"routes": {{{approvers}}}}}')),
    )
    yield "deep policy", _policy("[" * SIZE)
    yield "long comment", _policy(f"/* {'x' * SIZE} */ {{}}")
    yield "many comments", _policy('{"acls": [' + "/* x */" * (SIZE // 7) + "]}")
    yield "line comments", _policy('{"acls": [' + "// x\n" * (SIZE // 5) + "]}")
    yield (
        "comments and a mistake",
        _policy('{"acls": [' + "// x\n" * (SIZE // 5) + ",,]}"),
    )
    yield "open comments", _policy("/*" * (SIZE // 2))
    yield "mistakes", _policy("{" + "x y, " * (SIZE // 5) + "}")
    yield "commas", _policy("[" + "," * SIZE)
    yield (
        "unknown sections",
        _policy("{" + filled(lambda n: f'"s{n}": 1', between=", ") + "}"),
    )
    bad = '{{"action": "acept", "src": ["u{0}"], "dst": ["v{0}"]}}'
    yield (
        "wrong rules",
        _policy(f'{{"acls": [{filled(lambda n: bad.format(n), between=", ")}]}}'),
    )
    undefined = '{{"action": "accept", "src": ["group:g{0}"], "dst": ["tag:t{0}:22"]}}'
    yield (
        "undefined names",
        _policy(f'{{"acls": [{filled(lambda n: undefined.format(n), between=", ")}]}}'),
    )
    yield "repeated names", _policy("{" + '"a": 1, ' * (SIZE // 8) + "}")
    yield "numbers in a policy", _policy(_section("x", "[" + "9" * SIZE + "]"))
    floats = "[" + ("9" * 4000 + ", ") * (SIZE // 4002) + "1e999]"
    yield "floats in a policy", _policy(_section("x", floats))
    yield (
        "surrogates",
        _policy(_section("x", '["' + r"\ud83d\ude00" * (SIZE // 12) + '"]')),
    )
    yield (
        "half surrogates",
        _policy(_section("x", '["' + r"\ud83d" * (SIZE // 6) + '"]')),
    )
    yield "one long word", _policy(_section("x", f'"{"x" * SIZE}"'))
    yield (
        "one long source",
        _policy(
            f'{{"acls": [{{"action": "accept", "src": ["{"u" * SIZE}@"], "dst": ["*:*"]}}]}}'
        ),
    )


_LIVE_POLICY = f'{{"acls": {_rules(4)}, "tests": []}}'


def _snapshot_shapes() -> Iterator[tuple[str, Shape]]:
    nodes = [node_of(n) for n in range(1, SIZE // 470)]
    plain = in_snapshot([user_of(1)], nodes, '{"acls": []}')
    body = "policy: { acls: [{ action: accept, src: ['*'], dst: ['*:22'] }] }\n"
    yield "nodes of a snapshot, plan", _live(plain, ["plan"], body)
    yield "nodes of a snapshot, access", _live(plain, ["access", "list"], body)
    yield "nodes of a snapshot, test", _live(plain, ["test"], body)
    tagged = filled(lambda n: f"tag:t{n}", between=" ").split()
    yield (
        "tags of a snapshot's node",
        _live(
            in_snapshot([user_of(1)], [node_of(1, tags=tagged)]),
            ["plan"],
            "nodes: { n1: { tags: [] } }\n",
        ),
    )
    nets = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32" for n in range(SIZE // 32)]
    routed = node_of(1, available=nets, approved=nets)
    yield (
        "routes of a snapshot's node",
        _live(in_snapshot([user_of(1)], [routed], '{"acls": []}'), ["plan"], body),
    )
    users = [user_of(n) for n in range(1, SIZE // 100)]
    yield "users of a snapshot", _live(in_snapshot(users, []), ["plan"], "users: {}\n")
    long = in_snapshot([user_of(1, name="x" * SIZE)], [])
    yield "long name of a snapshot's user", _live(long, ["plan"], "users: {}\n")
    named = in_snapshot([user_of(1)], [node_of(1, name="x" * SIZE)])
    yield (
        "long name of a snapshot's node",
        _live(named, ["plan"], "nodes: { a: { match: { id: '1' }, tags: [tag:a] } }\n"),
    )
    yield "deep snapshot", _live("[" * SIZE, ["plan"], "users: {}\n")
    groups = filled(lambda n: f"    group:g{n}: [u{n}@]\n", SIZE // 2)
    rules = filled(
        lambda n: (
            f"    - {{ action: accept, src: [group:g{n}], dst: ['group:g{n}:22'] }}\n"
        ),
        SIZE // 2,
    )
    few = in_snapshot([user_of(n) for n in range(1, 200)], nodes[:300], '{"acls": []}')
    yield (
        "groups and nodes, plan",
        _live(few, ["plan"], f"policy:\n  groups:\n{groups}  acls:\n{rules}"),
    )
    yield (
        "groups and nodes, lint",
        _live(few, ["validate"], f"policy:\n  groups:\n{groups}  acls:\n{rules}"),
    )
    yield (
        "new policy of a megabyte",
        _live(
            few,
            ["plan"],
            "policy:\n  acls:\n"
            + filled(
                lambda n: (
                    f"    - {{ action: accept, src: [u{n % 199 + 1}@], dst: ['u{n % 190 + 1}@:{n % 60000 + 1}'] }}\n"
                )
            ),
        ),
    )
    checks = filled(
        lambda n: f"    - {{ src: u{n % 190 + 1}@, deny: ['u{n % 187 + 1}@:22'] }}\n"
    )
    yield (
        "tests and nodes",
        _live(few, ["test"], f"policy:\n  acls: []\n  tests:\n{checks}"),
    )
    asserted = filled(
        lambda n: f"  - no: {{ from: u{n % 190 + 1}@, to: u{n % 187 + 1}@ }}\n"
    )
    yield (
        "assertions and nodes",
        _live(few, ["test"], f"policy: {{ acls: [] }}\nassert:\n{asserted}"),
    )


def _other_shapes() -> Iterator[tuple[str, Shape]]:
    yield "deep plan file", ({"p.json": "[" * SIZE}, ["show", "p.json"])
    yield (
        "long line as a plan",
        ({"p.json": '"' + "x" * SIZE + '"'}, ["show", "p.json"]),
    )
    world = {
        "emulate": "0.29",
        "users": [{"id": n, "name": f"u{n}"} for n in range(1, SIZE // 32)],
    }
    yield (
        "world of users",
        (
            {
                "w.json": json.dumps(world),
                "tailnet.yaml": _HEAD
                + "server: { type: headscale, url: 'simulator:w.json' }\nusers: {}\n",
            },
            ["plan"],
        ),
    )


SHAPES: tuple[Callable[[], Iterator[tuple[str, Shape]]], ...] = (
    _yaml_shapes,
    _policy_shapes,
    _snapshot_shapes,
    _other_shapes,
)


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def measured(shape: Shape, compiled: str) -> tuple[float, float, int, int, str]:
    """Return seconds, megabytes, exit code and size of output of a command, and a line.

    The line is the first one that it printed. `compiled` is a folder for bytecode, which
    a program that was installed has.
    """
    files, command = shape
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        environ = {
            **os.environ,
            "PYTHONPATH": str(Path.cwd()),
            "PYTHONPYCACHEPREFIX": compiled,
            "GIT_DIR": "/nonexistent",
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        out = Path(folder, "out.txt")
        with out.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "reconcile", *command],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=_bounded,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        text = out.read_bytes()
    seconds = usage.ru_utime + usage.ru_stime
    head = text[:4000].decode("utf-8", "replace").split("\n")[0][:60]
    return seconds, usage.ru_maxrss / 1024, process.returncode, len(text), head


def main(words: list[str]) -> None:
    """Measure the shapes whose name holds one of the words, or all."""
    print("| Shape | s | MB | exit | bytes out | says |\n|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as compiled:
        measured(yaml_file("users: {}\n"), compiled)  # compiles what most rows need
        for name, shape in _chosen(words):
            seconds, memory, code, size, said = measured(shape, compiled)
            row = (
                f"| {name} | {seconds:.1f} | {memory:.0f} | {code} | {size} | {said} |"
            )
            print(row, flush=True)


def _chosen(words: list[str]) -> Iterator[tuple[str, Shape]]:
    """Yield the shapes whose name holds one of the words, or all."""
    from tests.bench.states import GROUPS  # which is made of this file's parts

    for group in (*SHAPES, *GROUPS):
        for name, shape in group():
            if not words or any(word in name for word in words):
                yield name, shape


if __name__ == "__main__":
    main(sys.argv[1:])
