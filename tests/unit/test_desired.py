"""Reading the desired state: sections, files, includes, overlays, policies."""

import io
import json
import sys
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.desired import read, schema
from reconcile.desired.state import Manage, Routes
from reconcile.errors import MOST_ERRORS, InputError
from reconcile.report.diagnostics import render

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = "mkey:" + "0" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name: str, text: str) -> None:
    with open(name, "w", newline="") as handle:
        handle.write(text)


def state(text: str, **options):
    put("tailnet.yaml", "version: 1\n" + text)
    options = {"environ": {}, "now": NOW, **options}
    (desired,) = read(["tailnet.yaml"], **options)
    return desired


def codes(*paths: str, **options):
    with pytest.raises(InputError) as caught:
        read(paths, environ={}, now=NOW, **options)
    return [finding.code for finding in caught.value.diagnostics]


def test_absent_and_empty_differ():
    nothing = state("")
    assert (nothing.users, nothing.nodes, nothing.policy, nothing.server) == (None,) * 4
    empty = state("users: {}\nnodes: {}\n")
    assert (empty.users, empty.nodes) == ({}, {})


def test_users():
    users = state(
        "users:\n"
        "  alice: {email: alice@example.com, display_name: Alice}\n"
        "  robert: {was: bob}\n"
        "  rob: {was: [robby, r2]}\n"
        "  eve: {until: 2026-12-31}\n"
        "  Odd Name: {was: Odd Name}\n"
    ).users
    assert users["alice"].email == "alice@example.com"
    assert users["alice"].display_name == "Alice"
    assert users["robert"].was == ("bob",)
    assert users["rob"].was == ("robby", "r2")
    assert users["eve"].until == date(2026, 12, 31)
    assert users["Odd Name"].was == ()
    assert str(users["robert"].position) == "tailnet.yaml:4:3"


def test_names_may_be_exchanged():
    users = state("users: {alice: {was: bob}, bob: {was: alice}}").users
    assert users["alice"].was == ("bob",)


def test_nodes_and_their_defaults():
    desired = state(
        "defaults: {nodes: {tags: [], exit_node: false, expiry: never, pending: ok}}\n"
        "nodes:\n"
        "  tv: {}\n"
        f"  nas:\n    match: {{machine_key: '{KEY}', id: 12}}\n"
        "    tags: [tag:b, tag:a]\n"
        "    routes: {approve: ['fd00:0::/48', 10.0.0.0/8], mode: at-least}\n"
        "    expiry: 2030-01-01\n"
        "    pending: error\n"
    )
    tv, nas = desired.nodes["tv"], desired.nodes["nas"]
    assert tv.match.fields == {"name": "tv"}
    assert tv.settings.tags is None
    assert desired.node_defaults.tags == frozenset()
    assert desired.node_defaults.exit_node is False
    assert desired.node_defaults.expiry == "never"
    assert desired.node_pending == "ok"
    assert nas.match.fields == {"machine_key": KEY, "id": "12"}
    assert nas.settings.tags == {"tag:a", "tag:b"}
    wanted = frozenset({"fd00::/48", "10.0.0.0/8"})
    assert nas.settings.routes == Routes(wanted, "at-least")
    assert nas.settings.expiry == datetime(2030, 1, 1, tzinfo=UTC)
    assert nas.pending == "error"
    places = {name: str(place) for name, place in nas.settings.positions.items()}
    assert places == {
        "tags": "tailnet.yaml:7:11",
        "routes": "tailnet.yaml:8:13",
        "expiry": "tailnet.yaml:9:13",
    }


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2030-01-01T05:00:00Z", 5),
        ("2030-01-01T05:00:00+02:00", 3),
        ("2030-01-01t05:00:00.5z", 5),
    ],
)
def test_instants(text, hour):
    when = state(f"nodes: {{tv: {{expiry: {text}}}}}").nodes["tv"].settings.expiry
    assert (when.hour, when.tzinfo) == (hour, UTC)


@pytest.mark.parametrize("route", ["0.0.0.0/0", "'::/0'"])
def test_an_exit_route_means_exit_node(route):
    desired = state(
        f"nodes: {{gw: {{match: {{machine_key: '{KEY}'}}, "
        f"routes: {{approve: [10.0.0.0/8, {route}]}}}}}}"
    )
    settings = desired.nodes["gw"].settings
    assert settings.exit_node is True
    assert settings.routes.approve == {"10.0.0.0/8"}
    assert str(settings.positions["exit_node"]).startswith("tailnet.yaml:2:")


def test_rules_may_hold_patterns():
    (rule,) = state(
        "node_rules: [{match: {hostname: 'k8s-*', preauth_key: 7}, tags: [tag:k8s]}]"
    ).rules
    assert rule.match.fields == {"hostname": "k8s-*", "preauth_key": "7"}
    assert rule.settings.tags == {"tag:k8s"}


def test_a_name_that_a_node_has_already_may_stay():
    desired = state("nodes: {'My TV.': {}, Odd: {match: {id: 1, name: Odd}}}")
    assert desired.nodes["My TV."].match.fields == {"name": "My TV."}


def test_removed_and_manage():
    desired = state(
        "removed: [node:old-laptop, user:bob]\n"
        "manage: {users: prune, nodes: {unlisted: ignore, ephemeral: report}}\n"
        "if_unsupported: warn\n"
    )
    assert [(r.kind, r.name) for r in desired.removed] == [
        ("node", "old-laptop"),
        ("user", "bob"),
    ]
    assert str(desired.removed[1].position) == "tailnet.yaml:2:28"
    assert desired.manage == Manage("prune", "ignore", "report")
    assert desired.if_unsupported == "warn"
    assert state("manage: {nodes: ignore}").manage.nodes == "ignore"


@pytest.mark.parametrize(
    ("credentials", "where"),
    [
        ("{}", ("HEADSCALE_API_KEY", "", ())),
        ("{api_key: {env: HEADSCALE_LAB}}", ("HEADSCALE_LAB", "", ())),
        ("{api_key: {file: keys/hs}}", ("", "sub/keys/hs", ())),
        ("{api_key: {command: [pass, show, hs]}}", ("", "", ("pass", "show", "hs"))),
    ],
)
def test_servers_and_credentials(folder, credentials, where):
    (folder / "sub").mkdir()
    put(
        "sub/tailnet.yaml",
        f"version: 1\nserver: {{url: 'https://hs.example.com:8443', "
        f"credentials: {credentials}}}\n",
    )
    (desired,) = read(["sub/tailnet.yaml"], environ={})
    server = desired.server
    assert (server.name, server.type) == ("hs.example.com", "headscale")
    assert (server.env, server.file, server.command) == where


def test_a_simulator_is_relative_to_the_file_that_names_it(folder):
    (folder / "sub").mkdir()
    put("sub/tailnet.yaml", "version: 1\nserver: {url: 'simulator:lab.json'}\n")
    (desired,) = read(["sub/tailnet.yaml"], environ={})
    assert desired.server.url == "simulator:sub/lab.json"
    assert desired.server.name == "lab"
    put("sub/tailnet.yaml", "version: 1\nserver: {url: '${HEADSCALE_URL}'}\n")
    (desired,) = read(
        ["sub/tailnet.yaml"], environ={"HEADSCALE_URL": "simulator:w.json"}
    )
    assert desired.server.url == "simulator:w.json"


@pytest.mark.parametrize("name", [None, "all", "hs.example.com"])
def test_a_single_server_goes_by_its_host_name(name):
    text = "server: {url: https://hs.example.com}\n"
    assert state(text, server=name).server.name == "hs.example.com"
    assert codes("tailnet.yaml", server="prod") == ["RC0028"]


def test_a_single_server_goes_by_the_name_it_is_given():
    text = "server: {url: https://hs.example.com, name: prod}\n"
    assert state(text, server="prod").server.name == "prod"
    assert codes("tailnet.yaml", server="hs.example.com") == ["RC0028"]


SERVERS = (
    "servers: {prod: {url: https://a}, lab: {url: '${HEADSCALE_LAB}', name: ignored}}\n"
    "users: {alice: {email: a@example.com}}\n"
    "removed: [node:aa, node:bb]\n"
    "overlays:\n"
    "  lab:\n"
    "    users: {alice: {display_name: Al}, bob: {}}\n"
    "    removed: [node:cc]\n"
)


def test_overlays():
    put("tailnet.yaml", "version: 1\n" + SERVERS)
    prod, lab = read(
        ["tailnet.yaml"], server="all", environ={"HEADSCALE_LAB": "https://b"}
    )
    assert (prod.server.name, lab.server.name) == ("prod", "lab")
    assert [*prod.users] == ["alice"]
    assert lab.users["alice"].email == "a@example.com"
    assert lab.users["alice"].display_name == "Al"
    assert str(lab.users["bob"].position) == "tailnet.yaml:7:40"
    assert [r.name for r in prod.removed] == ["aa", "bb"]
    assert [str(r.position) for r in lab.removed] == ["tailnet.yaml:8:15"]


def test_variables_of_other_servers_are_not_needed():
    put("tailnet.yaml", "version: 1\n" + SERVERS)
    (prod,) = read(["tailnet.yaml"], server="prod", environ={})
    assert prod.server.url == "https://a"
    assert codes("tailnet.yaml", server="lab") == ["RC0009"]
    assert codes("tailnet.yaml", server="nowhere") == ["RC0028"]


def test_an_overlay_replaces_a_policy_of_another_form():
    put("p.hujson", '{"acls": []}')
    put(
        "tailnet.yaml",
        "version: 1\nservers: {a: {url: https://a}, b: {url: https://b}}\n"
        "policy: {file: p.hujson}\n"
        "overlays: {b: {policy: {acls: [], hosts: {h: 10.0.0.1}}}}\n",
    )
    a, b = read(["tailnet.yaml"], server="all", environ={})
    assert (a.policy.rendered, b.policy.rendered) == (False, True)
    assert str(b.policy.locate(("hosts", "h"))) == "tailnet.yaml:4:46"


def test_includes_and_their_owners(folder):
    (folder / "teams").mkdir()
    put("teams/b.yaml", "users: {bob: {}}\nnode_rules: []\n")
    put("teams/a.yaml", "nodes: {tv: {}}\nremoved: [node:old]\n")
    desired = state(
        "include: [teams/a.yaml, {path: 'teams/*.yaml', owns: [users, node_rules]}]\n"
        "users: {alice: {}}\nremoved: [node:older]\n"
    )
    assert [*desired.users] == ["alice", "bob"]
    assert [(r.name, r.position.file) for r in desired.removed] == [
        ("older", "tailnet.yaml"),
        ("old", "teams/a.yaml"),
    ]
    assert [path for path, _ in desired.files] == [
        "tailnet.yaml",
        "teams/a.yaml",
        "teams/b.yaml",
    ]


def test_included_files_stay_in_their_lane(folder):
    put("team.yaml", "users: {}\nserver: {url: https://x}\nremoved: []\n")
    put("tailnet.yaml", "version: 1\ninclude: [{path: team.yaml, owns: [users]}]\n")
    with pytest.raises(InputError) as caught:
        read(["tailnet.yaml"], environ={})
    found = caught.value.diagnostics
    assert [f.code for f in found] == ["RC0025", "RC0025"]
    assert [str(f.position) for f in found] == ["team.yaml:2:1", "team.yaml:3:1"]
    assert found[1].why == "it may hold only: users"
    assert str(found[1].related[0].position) == "tailnet.yaml:2:18"


def test_a_limit_holds_for_a_file_that_was_named_too(folder):
    put("a-team.yaml", "users: {}\n")
    put("b.yaml", "version: 1\ninclude: [{path: a-team.yaml, owns: [nodes]}]\n")
    assert codes(".") == ["RC0025"]


def test_the_same_thing_in_two_files_is_an_error_with_both_places():
    put("a.yaml", "version: 1\nusers: {alice: {}}\nserver: {url: https://a}\n")
    put("b.yaml", "version: 1\nserver: {url: https://b}\nusers: {bob: {}, alice: {}}\n")
    with pytest.raises(InputError) as caught:
        read(["a.yaml", "b.yaml"], environ={})
    first, second = caught.value.diagnostics
    assert first.code == second.code == "RC0023"
    assert str(first.position) == "b.yaml:2:1"
    assert str(first.related[0].position) == "a.yaml:3:1"
    assert str(second.position) == "b.yaml:3:18"


def test_a_folder_is_read_in_the_order_of_names(folder):
    (folder / "net").mkdir()
    put("net/b.yml", "removed: [node:b2]\n")
    put("net/a.yaml", "version: 1\nremoved: [node:a1]\n")
    put("net/notes.txt", "not: [yaml\n")
    (desired,) = read(["net"], environ={})
    assert [r.name for r in desired.removed] == ["a1", "b2"]


def test_a_file_named_twice_is_read_once():
    put("tailnet.yaml", "version: 1\nremoved: [node:a1]\n")
    (desired,) = read(["tailnet.yaml", "./tailnet.yaml"], environ={})
    assert len(desired.removed) == 1


def test_standard_input(monkeypatch):
    data = b"version: 1\nusers: {Bad: {}}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InputError) as caught:
        read(["-"], environ={})
    assert str(caught.value.diagnostics[0].position) == "<stdin>:2:9"


@pytest.mark.parametrize(
    "text",
    ['{"acls": []}', '// é\r\n{\r\n "acls": [],\r\n}\r\n', '{"acls":[],"x":1} '],
)
def test_a_policy_file_is_kept_byte_for_byte(text):
    put("policy.hujson", text)
    desired = state("policy: {file: policy.hujson}")
    assert desired.policy.text == text
    assert desired.policy.rendered is False
    assert desired.files[1] == ("policy.hujson", sha256(text.encode()).hexdigest())
    assert str(desired.policy.locate(("acls",), key=True)).startswith("policy.hujson:")


def test_variables_never_reach_into_a_policy_file():
    put("policy.hujson", '{"acls": [], "hosts": {"h": "${HOME}"}}')
    text = state("policy: {file: policy.hujson}", environ={"HOME": "x"}).policy.text
    assert "${HOME}" in text


def test_an_inline_policy_is_rendered_and_located_in_the_yaml():
    policy = state("policy:\n  acls: []\n  hosts: {h: 10.0.0.1}\n").policy
    assert policy.rendered is True
    assert policy.value == {"acls": [], "hosts": {"h": "10.0.0.1"}}
    assert policy.text.startswith("// Written by reconcile from tailnet.yaml")
    assert str(policy.locate(("hosts", "h"))) == "tailnet.yaml:4:14"


def test_tags_that_the_policy_owns_are_fine():
    put("policy.hujson", '{"tagowners": {"tag:a": []}, "ACLs": []}')
    desired = state(
        "policy: {file: policy.hujson}\n"
        f"nodes: {{tv: {{match: {{machine_key: '{KEY}'}}, tags: [tag:a]}}}}"
    )
    assert desired.warnings == ()


def test_an_unknown_tag_points_at_its_near_miss():
    put("policy.hujson", '{\n  "tagOwners": {"tag:router": []},\n  "acls": []\n}\n')
    put(
        "tailnet.yaml",
        "version: 1\npolicy: {file: policy.hujson}\ndefaults: {nodes: "
        "{tags: [tag:routr]}}\n",
    )
    with pytest.raises(InputError) as caught:
        read(["tailnet.yaml"], environ={})
    assert render(caught.value.diagnostics) == (
        "error[RC0107]: tag:routr has no tagOwners entry\n"
        "  --> tailnet.yaml:3:27\n"
        "   |\n"
        " 3 | defaults: {nodes: {tags: [tag:routr]}}\n"
        "   |                           ^^^^^^^^^ not defined in policy.hujson\n"
        "   |\n"
        "  ::: policy.hujson:2:17\n"
        ' 2 |   "tagOwners": {"tag:router": []},\n'
        "   |                 ------------ did you mean this one?\n"
        "   = why: Headscale refuses a tag that the live policy does not own "
        '("invalid or not permitted")\n'
        '   = help: add "tag:routr": [] to tagOwners in policy.hujson, or correct '
        "the tag\n"
        "\n"
        "1 error.\n"
    )


def test_a_rename_lists_every_place_in_which_the_policy_has_the_old_name():
    desired = state(
        "users: {robert: {was: bob}}\n"
        "policy:\n"
        "  groups: { group:a: [bob@, nobody@] }\n"
        "  acls:\n"
        "    - { action: accept, src: [bob@, nobody@], dst: ['bob@:22'] }\n"
    )
    old = [f for f in desired.warnings if "`bob@`" in f.message]
    assert [str(f.position) for f in old] == [
        "tailnet.yaml:4:23",
        "tailnet.yaml:6:31",
        "tailnet.yaml:6:53",
    ]
    assert {(f.code, f.help) for f in old} == {("RC0101", "write robert@")}
    assert len(desired.warnings) == 4  # a name that was never there is told once


def test_findings_are_told_once_for_all_servers():
    put(
        "tailnet.yaml",
        "version: 1\nservers: {a: {url: https://a}, b: {url: https://b}}\n"
        "users: {Bad: {}}\n",
    )
    assert codes("tailnet.yaml", server="all") == ["RC0112"]


def assert_refused_or_read():
    """Anything but an InputError with findings that can be printed fails."""
    found = ()
    try:
        states = read(["tailnet.yaml"], server="all", environ={})
    except InputError as error:
        states, found = (), error.diagnostics
    assert states or found
    assert bool(found) == bool(render(found))


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=60))
def test_any_bytes_read_or_are_refused(data):
    with open("tailnet.yaml", "wb") as handle:
        handle.write(data)
    assert_refused_or_read()


SCALARS = st.sampled_from(
    ["null", "no", "12", "true", "tag:a", "10.0.0.0/8", "never", "nas", "''", "${X}"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(
                ["match", "tags", "routes", "approve", "mode", "file", "acls", "groups",
                 "url", "was", "until", "expiry", "exit_node", "name", "user", "nodes",
                 "credentials", "api_key", "tv", "alice", "deliver", "command"]
            ),
            inner,
            max_size=3,
        ).map(lambda m: f"{{{', '.join(f'{k}: {v}' for k, v in m.items())}}}"),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.dictionaries(
        st.sampled_from([*json.loads(schema.text("desired"))["properties"]]), VALUES
    )
)
def test_any_shape_reads_or_is_refused(sections):
    text = "".join(f"{name}: {value}\n" for name, value in sections.items())
    with open("tailnet.yaml", "w") as handle:
        handle.write(text)
    assert_refused_or_read()


def test_a_thousand_errors_are_enough(tmp_path):
    file = tmp_path / "tailnet.yaml"
    users = "".join(f"  u{n}: {{ x: 1 }}\n" for n in range(MOST_ERRORS + 500))
    file.write_text(f"version: 1\nusers:\n{users}")
    with pytest.raises(InputError) as caught:
        read([str(file)], environ={})
    assert len(caught.value.diagnostics) == MOST_ERRORS + 2
    assert caught.value.diagnostics[-1].code == "RC0031"
