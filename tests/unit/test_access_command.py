"""`access list`, `who`, `why` and `diff`: from files and servers to answers."""

import json

import pytest

from reconcile.live import snapshot
from reconcile.model import ServerInfo
from tests.support import NOW, live, node, user

POLICY = """{
  "groups": {"group:ops": ["alice@", "bob@"]},
  "tagOwners": {"tag:db": [], "tag:router": []},
  "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["tag:db:22,5432"], "proto": "tcp"},
    {"action": "accept", "src": ["alice@"], "dst": ["10.1.0.0/16:443"], "proto": "tcp"},
  ],
  "ssh": [
    {"action": "accept", "src": ["group:ops"], "dst": ["tag:db"], "users": ["root"]},
  ],
}
"""
NODES = (
    node(1, "laptop", user="alice"),
    node(2, "desk", user="bob"),
    node(3, "db-1", tags=["tag:db"]),
    node(
        4,
        "router",
        tags=["tag:router"],
        available=["10.1.0.0/16"],
        approved=["10.1.0.0/16"],
    ),
)
USERS = (user(1, "alice"), user(2, "bob"))
FROM = ("--snapshot", "now.json")


@pytest.fixture
def ask(command, tmp_path):
    """Write a snapshot, then run `access ... --snapshot`."""

    def run(*arguments, policy=POLICY, nodes=NODES, release="0.29", **files):
        state = live(USERS, nodes, policy, release)
        (tmp_path / "now.json").write_text(snapshot.dumps(state))
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        return command("access", *arguments, *FROM)

    return run


def test_list_names_who_what_and_the_rule_with_its_line(ask, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = ask("list")
    assert code == 0
    assert out.splitlines() == [
        "Access on hs.example.com, as it is (4 nodes)",
        "  group:ops (2 nodes) -> tag:db (1 node)   tcp 22,5432, ssh as root"
        "   acls[0] (policy on the server):5, ssh[0] (policy on the server):9",
        "  alice (1 node)      -> 10.1.0.0/16       tcp 443"
        "                    acls[1] (policy on the server):6",
    ]


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        (["-s", "bob@"], 1),
        (["--source", "laptop"], 2),
        (["--to", "10.1.2.3"], 1),
        (["--port", "443"], 1),
        (["--port", "443/udp"], 1),  # the line that says: nobody
        (["-d", "tag:db", "--port", "ssh"], 1),
    ],
)
def test_list_is_limited(ask, monkeypatch, limits, lines):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = ask("list", *limits)
    assert (code, len(out.splitlines()) - 1) == (0, lines)
    assert ("nobody" in out) is ("443/udp" in limits)


def test_who(ask):
    code, out, _ = ask("who", "db-1:5432")
    assert code == 0
    assert "group:ops (2 nodes) -> tag:db (1 node)   tcp 5432   acls[0]" in out
    wide = POLICY.replace("22,5432", "*")
    assert "tcp 5432   acls[0]" in ask("who", "db-1:5432", policy=wide)[1]
    assert "  nobody\n" in ask("who", "db-1:80")[1]


def test_why_yes_shows_the_rule_and_the_selectors_of_both_sides(ask):
    code, out, _ = ask("why", "laptop", "db-1:5432")
    assert (code, out.splitlines()) == (
        0,
        [
            "yes: laptop -> db-1:5432 on hs.example.com, as it is",
            "  acls[0] (policy on the server):5",
            "      source matched by group:ops",
            "      target matched by tag:db",
        ],
    )


def test_why_yes_names_the_routers(ask):
    _, out, _ = ask("why", "alice@", "10.1.2.3:443")
    assert out.startswith("yes: ")
    assert out.splitlines()[-1].startswith("  Through node:")
    found = json.loads(ask("why", "alice@", "10.1.2.3:443", "--format", "json")[1])
    assert found["through"] == [out.splitlines()[-1].removeprefix("  Through ")]


def test_why_no_shows_the_nearest_rules(ask):
    code, out, _ = ask("why", "bob@", "10.1.2.3:443")
    assert code == 0
    assert out.startswith("no: bob@ -> 10.1.2.3:443")
    assert "acls[1] (policy on the server):6" in out
    assert "but only from alice@" in out
    assert "What the source reaches there: nothing" in out
    assert "Who reaches this there: alice" in out
    _, out, _ = ask("why", "bob@", "db-1:23")
    assert "What the source reaches there: tcp 22,5432, ssh as root" in out
    assert "but only opens tcp 22,5432" in out
    assert "No rule comes near" in ask("why", "db-1", "laptop:9")[1]


def test_why_in_part(ask):
    _, out, _ = ask("why", "*", "db-1:22")
    assert out.startswith("in part: ")
    assert (
        "Only this of it:\n    group:ops (2 nodes) -> tag:db (1 node)   tcp 22" in out
    )


def test_ssh_needs_the_port_too(ask):
    _, out, _ = ask("why", "bob@", "db-1:ssh")
    assert out.startswith("yes: ")
    assert "Logging in: ssh as root, allowed by\n  ssh[0]" in out
    assert "Port 22: open by\n  acls[0]" in out
    closed = POLICY.replace("22,5432", "5432")
    _, out, _ = ask("why", "bob@", "db-1:ssh", policy=closed)
    assert not out.startswith("yes")
    assert "Port 22: closed, and a login needs it" in out
    assert "nobody" in ask("who", "db-1:ssh", policy=closed)[1]


def test_exit_nodes_lead_to_the_internet(ask):
    rule = '{"action": "accept", "src": ["bob@"], "dst": ["autogroup:internet:*"]}'
    exits = {"available": ["0.0.0.0/0", "::/0"], "approved": ["0.0.0.0/0", "::/0"]}
    nodes = (*NODES, node(5, "exit", user="alice", **exits))
    _, out, _ = ask("list", policy=f'{{"acls": [{rule}]}}', nodes=nodes)
    assert "bob (1 node) -> autogroup:internet" in out


def test_the_desired_policy_counts_with_positions_in_its_file(ask):
    yaml = "version: 1\npolicy: { file: policy.hujson }\n"
    wanted = POLICY.replace("22,5432", "9")
    code, out, err = ask("list", tailnet_yaml=yaml, policy_hujson=wanted)
    assert (code, err) == (0, "")
    assert "as desired" in out
    assert "tcp 9" in out
    assert "acls[0] policy.hujson:5" in out
    assert "5432" in ask("list", "--live")[1]


@pytest.mark.parametrize("text", [POLICY, POLICY.replace("{", "{ // same", 1)])
def test_an_unchanged_policy_has_its_positions_in_the_file_too(ask, text):
    yaml = "version: 1\npolicy: { file: policy.hujson }\n"
    _, out, _ = ask("list", tailnet_yaml=yaml, policy_hujson=text)
    assert "acls[0] policy.hujson:5" in out


def test_tags_of_the_file_count_too(ask):
    yaml = "version: 1\nnodes: { desk: { tags: [tag:db] } }\n"
    assert "tag:db (2 nodes)" in ask("list", tailnet_yaml=yaml)[1]


def test_a_policy_with_errors_is_refused_with_its_places(ask):
    yaml = "version: 1\npolicy: { file: policy.hujson }\n"
    wrong = POLICY.replace("tag:db:22,5432", "tag:nosuch:22")
    for arguments in (["list"], ["who", "db-1:22"], ["why", "laptop", "db-1:22"]):
        code, out, err = ask(*arguments, tailnet_yaml=yaml, policy_hujson=wrong)
        assert (code, out) == (1, "")
        assert "--> policy.hujson:5:" in err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nosuch", "there is no node, user or host called nosuch"),
        ("node:nosuch", "there is no node:nosuch"),
        ("carol@", "the server has no user carol@"),
        ("tag:none", "the policy does not declare tag:none"),
        ("group:none", "the policy does not declare group:none"),
        ("autogroup:self", "autogroup:self differs from user to user"),
        ("autogroup:none", "there is no autogroup:none"),
        ("ipset:corp", "what ipset:corp holds is not known here"),
        ("a:b", "'a:b' is not a name"),
        ("", "'' is not a name"),
    ],
)
def test_a_name_that_nobody_declares_is_a_mistake(ask, name, reason):
    for arguments in (["why", name, "db-1:22"], ["list", "--source", name]):
        code, out, err = ask(*arguments)
        assert (code, out) == (1, "")
        assert reason in err


ABSENT = POLICY.replace(
    '"group:ops"', '"group:none": [], "group:away": ["carol@"], "group:ops"', 1
).replace('"tag:db": []', '"tag:db": [], "tag:idle": []')
ABSENT = ABSENT.replace(
    '"acls"', '"hosts": {"vault": "10.2.0.9", "printer": "10.3.0.9"}, "acls"'
)
ABSENCES = [
    ("carol@", "carol@ has no untagged node"),
    ("carol", "carol@ has no untagged node"),
    ("group:none", "group:none has no members"),
    ("group:away", "nobody in group:away has an untagged node"),
    ("tag:idle", "no node wears tag:idle"),
    ("vault", "node:e advertises 10.2.0.0/16, which is not approved"),
    ("printer", "no node has printer (10.3.0.9), and no approved route leads there"),
    ("10.9.9.9", "no node has 10.9.9.9, and no approved route leads there"),
    ("internet", "node:e offers to be an exit node, which is not approved"),
    ("8.8.8.8", "no node has 8.8.8.8, and no approved route leads there"),
]


@pytest.mark.parametrize(("name", "reason"), ABSENCES)
def test_what_nothing_bears_reaches_nothing_for_a_reason(
    ask, monkeypatch, name, reason
):
    """A question that is sound has an answer, and the reason is what is looked for."""
    monkeypatch.setattr(f"{__name__}.USERS", (*USERS, user(3, "carol")))
    more = node(5, "e", user="bob", available=["0.0.0.0/0", "::/0", "10.2.0.0/16"])
    nodes = (*NODES, more)
    for arguments in (["why", name, "db-1:22"], ["why", "laptop", f"{name}:22"]):
        code, out, _ = ask(*arguments, policy=ABSENT, nodes=nodes)
        assert (code, out.startswith("no: ")) == (0, True)
        assert reason in out
    for arguments in (["who", f"{name}:22"], ["list", "--source", name]):
        code, out, _ = ask(*arguments, policy=ABSENT, nodes=nodes)
        assert (code, reason in out, "  nobody\n" in out) == (0, True, True)
    found = json.loads(
        ask("why", name, "db-1:22", "--format", "json", policy=ABSENT)[1]
    )
    assert (found["answer"], len(found["notes"])) == ("no", 1)


def test_an_address_in_the_internet_is_behind_the_exit_nodes(ask):
    rule = '{"action": "accept", "src": ["bob@"], "dst": ["autogroup:internet:*"]}'
    exits = {"available": ["0.0.0.0/0", "::/0"], "approved": ["0.0.0.0/0", "::/0"]}
    nodes = (*NODES, node(5, "exit", user="alice", **exits))
    policy = f'{{"acls": [{rule}]}}'
    assert ask("who", "nosuch:53", policy=policy, nodes=nodes)[0] == 1
    for address in ("8.8.8.8", "9.0.0.0/8"):
        out = ask("why", "bob@", f"{address}:53", policy=policy, nodes=nodes)[1]
        assert out.startswith("yes: ")
        out = ask("why", "alice@", f"{address}:53", policy=policy, nodes=nodes)[1]
        assert out.startswith("no: ")
    out = ask("why", "bob@", "[2001:4860:4860::8888]:53", policy=policy, nodes=nodes)[1]
    assert out.startswith("no: ")
    assert "no address of one family" in out


@pytest.mark.parametrize("approved", [[], ["0.0.0.0/0", "::/0"]])
def test_a_client_that_offers_to_be_an_exit_node_uses_no_other(ask, approved):
    """Seen: `Cannot advertise an exit node and use an exit node at the same time.`"""
    rule = '{"action": "accept", "src": ["*"], "dst": ["autogroup:internet:*"]}'
    routes = ["0.0.0.0/0", "::/0"]
    nodes = (
        *NODES,
        node(5, "out", user="alice", available=routes, approved=routes),
        node(6, "other", user="bob", available=routes, approved=approved),
    )
    policy = f'{{"acls": [{rule}]}}'
    out = ask("why", "other", "8.8.8.8:53", policy=policy, nodes=nodes)[1]
    assert out.startswith("no: ")
    assert "uses no other: node:other" in out
    out = ask("why", "laptop", "8.8.8.8:53", policy=policy, nodes=nodes)[1]
    assert out.startswith("yes: ")
    out = ask("list", policy=policy, nodes=nodes)[1]
    assert "other" not in out


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("internet", "autogroup:internet"),
        ("vault", "vault (10.1.0.9)"),
        ("alice", "alice"),
    ],
)
def test_a_device_cannot_take_the_place_of_another_name(ask, name, meant):
    rule = '{"action": "accept", "src": ["bob@"], "dst": ["*:99"]}'
    more = f'"hosts": {{"vault": "10.1.0.9"}}, "acls": [{rule},'
    policy = POLICY.replace('"acls": [', more)
    exits = {"available": ["0.0.0.0/0", "::/0"], "approved": ["0.0.0.0/0", "::/0"]}
    nodes = (
        *NODES,
        node(5, name, tags=["tag:db"]),
        node(6, "out", user="alice", **exits),
    )
    _, out, _ = ask("who", f"{name}:99", policy=policy, nodes=nodes)
    assert f"bob (1 node) -> {meant} " in out
    _, out, _ = ask("who", f"node:{name}:99", policy=policy, nodes=nodes)
    assert f"bob (1 node) -> node:{name} " in out


def test_a_node_reaches_itself_without_a_rule(ask):
    for target in ("db-1:9", "100.64.0.3:9"):
        code, out, _ = ask("why", "db-1", target)
        assert (code, out.startswith("yes: ")) == (0, True)
        assert "the destination is the source: it needs no rule" in out


def test_a_name_that_is_nearly_one(ask):
    assert "did you mean laptop?" in ask("why", "node:labtop", "db-1:22")[2]
    assert "did you mean tag:db?" in ask("who", "tag:dbb:22")[2]
    assert "did you mean" not in ask("why", "zed@", "db-1:22")[2]


def test_a_host_of_the_policy_goes_by_its_name(ask):
    policy = POLICY.replace('"acls"', '"hosts": {"vault": "10.1.0.9"}, "acls"')
    policy = policy.replace("10.1.0.0/16:443", "vault:443")
    out = ask("list", policy=policy)[1]
    assert "alice (1 node)      -> vault (10.1.0.9)   tcp 443" in out
    assert "10.1.0.0/16" not in out


@pytest.mark.parametrize(
    "text", ["db-1:http", "db-1:0", ":22", "db-1:1/xyz", "db-1:", "db-1:9-8", "db-1:1-"]
)
def test_what_is_no_port_is_refused(ask, text):
    assert ask("who", text)[0] == 64


def test_without_a_server_it_says_what_is_needed(command, tmp_path):
    (tmp_path / "policy.hujson").write_text(POLICY)
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\npolicy: {file: policy.hujson}\n"
    )
    code, _, err = command("access", "list")
    assert code == 64
    assert "users and nodes are needed" in err
    assert "--snapshot FILE" in err


def test_one_server_at_a_time(command, tmp_path):
    (tmp_path / "tailnet.yaml").write_text(
        "version: 1\nservers:\n"
        "  a: { type: headscale, url: simulator:a.json }\n"
        "  b: { type: headscale, url: simulator:b.json }\n"
    )
    code, _, err = command("access", "list", "--server", "all")
    assert code == 64
    assert "one server at a time" in err
    assert "choose one: --server a or --server b" in err
    (tmp_path / "a.json").write_text("{}")
    assert command("access", "list", "--server", "a")[0] == 0


def test_an_open_policy_is_told_in_words(ask):
    assert (
        "neither acls nor grants: everything is allowed" in ask("list", policy="{}")[1]
    )
    _, out, _ = ask("list", policy="{}", release="0.26")
    assert "this server then allows nothing" in out
    assert "nobody" in out
    assert "everything -> everything" in ask("list", policy=None, release="0.26")[1]
    assert "no rule at all" in ask("list", policy='{"acls": []}')[1]
    star = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
    assert "acls[0] lets everybody reach everything" in ask("list", policy=star)[1]


def test_what_cannot_be_known_is_said_in_every_answer(ask, command, tmp_path):
    policy = """{"postures": {"posture:new": ["node:os == 'linux'"]}, "grants": [
      {"src": ["alice@example.com"], "dst": ["*"], "ip": ["*"], "srcPosture": ["posture:new"]}]}"""
    people = (user(1, "alice@example.com", email="alice@example.com"),)
    nodes = (node(1, "laptop", user="alice@example.com"), NODES[1])
    info = ServerInfo("tailscale", "", "", "tailscale")
    state = snapshot.dumps(live(people, nodes, policy, info=info))
    (tmp_path / "now.json").write_text(state)
    for arguments in (
        ["list"],
        ["who", "desk:22"],
        ["why", "laptop", "desk:22"],
        ["diff", "now.json", "now.json"],
    ):
        code, out, err = command("access", *arguments, *FROM)
        assert (code, err) == (0, "")
        assert "device postures are not known" in out, arguments
        _, out, _ = command("access", *arguments, *FROM, "--format", "json")
        assert json.loads(out)["unsure"], arguments


def test_hostile_names_cannot_steer_a_terminal(ask):
    nodes = (*NODES[:2], node(3, "db\x1b[31m\u202e\nyes: x", tags=["tag:db"]))
    star = '{"acls": [{"action": "accept", "src": ["bob@"], "dst": ["100.64.0.3:9"]}]}'
    for arguments in (["list"], ["who", "100.64.0.3:9"]):
        _, out, _ = ask(*arguments, nodes=nodes, policy=star)
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\nyes" not in out


def test_json_answers(ask):
    answer = json.loads(ask("why", "laptop", "db-1:22", "--format", "json")[1])
    assert (answer["answer"], answer["allowed"]) == ("yes", True)
    assert answer["rules"][0]["rule"] == "acls[0]"
    assert answer["rules"][0]["source"]["line"] == 5
    assert answer["rules"][0]["sources"] == ["group:ops"]
    listed = json.loads(ask("list", "--format", "json")[1])
    assert (listed["paths"], listed["nodes"], len(listed["entries"])) == (3, 4, 2)


def test_pictures(ask):
    for arguments in (["list"], ["who", "db-1:22"]):
        _, out, _ = ask(*arguments, "--format", "mermaid")
        assert out.startswith("flowchart LR\n")
        assert '["group:ops (2 nodes)"]' in out
        assert '["tag:db (1 node)"]' in out
        assert ask(*arguments, "--format", "dot")[1].startswith("digraph access {\n")
    yaml = "version: 1\nnodes: { desk: { tags: [tag:db] } }\n"
    _, out, _ = ask("diff", "--format", "dot", tailnet_yaml=yaml)
    assert "loses tcp 22,5432" in out
    assert ask("why", "laptop", "db-1:22", "--format", "dot")[0] == 64


def test_a_long_list_is_cut_and_counted(ask):
    nodes = [*NODES, *(node(n, f"n{n}", user="bob") for n in range(5, 160))]
    each = ", ".join(
        f'{{"action": "accept", "src": ["bob@"], "dst": ["100.64.0.{n}:22"]}}'
        for n in range(5, 160)
    )
    policy = f'{{"acls": [{each}]}}'
    out = ask("list", policy=policy, nodes=nodes)[1]
    assert len(out.splitlines()) == 102
    assert "… and 55 more (--full shows them)" in out
    assert len(ask("list", "--full", policy=policy, nodes=nodes)[1].splitlines()) == 156
    picture = ask("list", "--format", "dot", policy=policy, nodes=nodes)[1]
    assert "95 arrows more not shown" in picture
    listed = ask("list", "--format", "json", policy=policy, nodes=nodes)[1]
    assert len(json.loads(listed)["entries"]) == 155


def test_via_is_told_with_the_rule(ask):
    grants = (
        '{"tagOwners": {"tag:router": [], "tag:db": []}, "grants": [{"src": ["bob@"],'
        ' "dst": ["10.1.0.0/16"], "ip": ["tcp:443"], "via": ["tag:router"]}]}'
    )
    for arguments in (
        ["list"],
        ["who", "10.1.0.9:443"],
        ["why", "bob@", "10.1.0.9:443"],
    ):
        out = ask(*arguments, policy=grants)[1]
        assert "grants[0] (policy on the server):1 via tag:router" in out
    out = ask("list", "--format", "json", policy=grants)[1]
    assert json.loads(out)["entries"][0]["rules"][0]["via"] == ["tag:router"]


def test_capabilities(ask):
    grants = (
        '{"tagOwners": {"tag:router": [], "tag:db": []}, "grants": [{"src": ["bob@"],'
        ' "dst": ["tag:db"], "app": {"tailscale.com/cap/drive": []}}]}'
    )
    out = ask("list", policy=grants)[1]
    assert "bob (1 node) -> tag:db (1 node)   can use tailscale.com/cap/drive" in out
    out = ask("why", "bob@", "db-1:tailscale.com/cap/drive", policy=grants)[1]
    assert out.startswith("yes: ")
    assert "nobody" in ask("list", "--port", "445", policy=grants)[1]


def test_expired_keys_are_counted_and_said(ask):
    nodes = (node(1, "laptop", user="alice", expiry=NOW), *NODES[1:])
    for arguments in (["list"], ["who", "db-1:22"], ["why", "laptop", "db-1:22"]):
        out = ask(*arguments, nodes=nodes)[1]
        assert "? expired key of node:laptop: counted as if logged in again" in out
    assert "expired key" not in ask("list")[1]
    assert "expired key" not in ask("why", "bob@", "db-1:22", nodes=nodes)[1]
    assert "expired key" in ask("why", "group:ops", "db-1:22", nodes=nodes)[1]


# -- diff ------------------------------------------------------------------------------


def test_diff_of_two_policies(ask):
    files = {"a_hujson": POLICY, "b_hujson": POLICY.replace("5432", "5432-5433")}
    code, out, _ = ask("diff", "--before", "a.hujson", "--after", "b.hujson", **files)
    assert code == 0
    assert "+ gains   group:ops (2 nodes) -> tag:db (1 node)   tcp 5433" in out
    assert "because acls[0]  b.hujson:5" in out
    assert out.endswith("Access: +2 -0 paths (2 only wider).\n")


def test_diff_of_two_snapshots(ask, command, tmp_path):
    ask("list", nodes=NODES)
    (tmp_path / "old.json").write_text((tmp_path / "now.json").read_text())
    ask("list", nodes=NODES[1:])
    code, out, _ = command("access", "diff", "old.json", "now.json")
    assert code == 0
    words = " ".join(out.split())
    assert "- loses node:laptop -> everything (2 paths) because node:laptop is" in words


def test_diff_of_live_against_the_files(ask):
    yaml = "version: 1\nnodes: { desk: { tags: [tag:db] } }\n"
    code, out, _ = ask("diff", tailnet_yaml=yaml)
    assert code == 0
    assert "because node:desk becomes tag:db" in out
    same = ask("diff", tailnet_yaml="version: 1\nusers: { alice: {} }\n")[1]
    assert "nobody gains and nobody loses any" in same
    assert same.endswith("Access: +0 -0 paths.\n")


def test_diff_wants_two_things(ask):
    assert ask("diff", "one.json")[0] == 64
    assert ask("diff", "--before", "a")[0] == 64
