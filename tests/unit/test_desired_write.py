"""What `import` writes reads back to the same thing, whatever the names are."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.desired import read
from reconcile.desired.write import write
from reconcile.model import Live, Node, PolicyText, ServerInfo, User, natural

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER = ServerInfo("headscale", "https://hs.example.com", "0.28.0", "0.28")
AWKWARD = (
    "yes", "012", "1:30", "2026-01-01", "null", "~", "- a", "-a", "a: b", "a #b", "#a",
    "<<", "&a", "*a", "!a", "%a", "@a", "`a", "a\nb", "a\tb", "\u202eevil", "😀",
    "${HOME}",
    "$${A}", '"', "'", "a'b\"c", "{}", "[]", "? a", " a", "a ", "ALICE", "tag:x", "é",
    "\x00", "\x1b[31m", "\u2028", "\ufeff", "x" * 1500, "1e3", "0x1f", "a:", "::/0",
)  # fmt: skip

names = st.one_of(st.sampled_from(AWKWARD), st.text(max_size=12))
safe_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,5}[a-z0-9]", fullmatch=True)
keys = st.integers(0, 15).map(lambda n: f"mkey:{n:064x}")
tags = st.sets(st.from_regex(r"tag:[a-z][a-z0-9-]{0,4}", fullmatch=True), max_size=3)
routes = st.sets(
    st.sampled_from(["10.0.0.0/8", "192.168.1.0/24", "fd00::/48", "0.0.0.0/0", "::/0"])
)
expiries = st.sampled_from([None, NOW, datetime(2031, 5, 1, tzinfo=UTC)])
users = st.lists(
    st.builds(
        User,
        id=st.just("1"),
        name=names,
        display_name=names,
        email=names,
        provider=st.sampled_from(["", "", "oidc"]),
    ),
    unique_by=lambda user: user.name,
    max_size=5,
)
nodes = st.lists(
    st.builds(
        Node,
        id=st.integers(1, 99).map(str),
        name=st.one_of(names, safe_names),
        tags=tags.map(frozenset),
        approved=routes.map(frozenset),
        expiry=expiries,
        machine_key=st.one_of(keys, st.just("")),
        ephemeral=st.booleans(),
    ),
    unique_by=(lambda node: node.name, lambda node: node.id),
    max_size=6,
)


def live(found_users, found_nodes, policy=None):
    return Live(
        SERVER,
        NOW,
        None if found_users is None else tuple(found_users),
        None if found_nodes is None else tuple(found_nodes),
        policy,
    )


def read_back(text: str, folder: Path):
    file = folder / "tailnet.yaml"
    file.write_bytes(text.encode())
    (desired,) = read([str(file)], environ={}, now=NOW)
    return desired


def writable(text: str) -> bool:
    return text.isascii() or not any(0xD800 <= ord(char) < 0xE000 for char in text)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.none() | users, st.none() | nodes)
def test_what_is_written_reads_back(tmp_path, found_users, found_nodes):
    state = live(found_users, found_nodes)
    text = write(state, None, "https://hs.example.com")
    assert text == write(state, None, "https://hs.example.com")
    desired = read_back(text, tmp_path)
    assert desired.warnings == ()
    assert (desired.users is None) == (found_users is None)
    assert (desired.nodes is None) == (found_nodes is None)
    wanted = {
        user.name: user
        for user in found_users or ()
        if user.name and not user.provider and writable(user.name)
    }
    assert (desired.users or {}).keys() == wanted.keys()
    for name, user in (desired.users or {}).items():
        for field in ("email", "display_name"):
            said = getattr(wanted[name], field)
            if said and writable(said):
                assert getattr(user, field) == said
            else:
                assert getattr(user, field) is None
    lasting = {
        node.name: node
        for node in found_nodes or ()
        if not node.ephemeral and node.name and writable(node.name)
    }
    assert (desired.nodes or {}).keys() == lasting.keys()
    for name, node in lasting.items():
        same_settings(desired, desired.nodes[name], node)


def same_settings(desired, entry, node):
    defaults, own = desired.node_defaults, entry.settings
    assert (defaults.tags if own.tags is None else own.tags) == node.tags
    approved = (own.routes or defaults.routes).approve
    assert approved == node.routes
    exit_node = defaults.exit_node if own.exit_node is None else own.exit_node
    assert exit_node == node.exit_node
    expiry = own.expiry or defaults.expiry
    assert expiry == ("never" if node.expiry is None else None)
    matched = entry.match.fields
    assert matched.get("name", node.name) == node.name
    assert matched.get("machine_key", node.machine_key) == node.machine_key
    assert matched.get("id", node.id) == node.id


def test_matches_tell_the_nodes_of_one_machine_apart(tmp_path):
    key = f"mkey:{1:064x}"
    twins = [
        Node("1", "laptop", machine_key=key, tags=frozenset({"tag:a"})),
        Node("2", "laptop-1", machine_key=key, tags=frozenset({"tag:a"})),
    ]
    desired = read_back(
        write(live(None, twins), None, "https://hs.example.com"), tmp_path
    )
    assert desired.nodes["laptop"].match.fields == {
        "machine_key": key,
        "name": "laptop",
    }


def test_the_file_is_one_that_people_like_to_read():
    key = f"mkey:{1:064x}"
    state = live(
        [
            User("1", "alice", "Alice A", "alice@example.com"),
            User("2", "ci-bot"),
            User("3", "ALICE"),
            User("4", "bob", provider="oidc"),
        ],
        [
            Node("1", "tv-10"),
            Node("2", "tv-2"),
            Node("3", "nas", machine_key=key, tags=frozenset({"tag:storage"})),
            Node("4", "router", machine_key=key[:-1] + "2",
                 approved=frozenset({"10.9.0.0/16", "10.10.0.0/16", "0.0.0.0/0"})),
            Node("5", "job", ephemeral=True),
        ],
    )  # fmt: skip
    text = write(state, "policy.hujson", "${HEADSCALE_URL}")
    assert text == Path(__file__).with_name("imported.yaml").read_text()


def test_tags_that_the_policy_does_not_own_leave_the_node_out(tmp_path):
    policy = PolicyText('{"tagOwners": {"tag:a": []}, "acls": []}')
    state = live(
        None,
        [
            Node("1", "one", machine_key=f"mkey:{1:064x}", tags=frozenset({"tag:a"})),
            Node("2", "two", machine_key=f"mkey:{2:064x}", tags=frozenset({"tag:b"})),
        ],
        policy,
    )
    text = write(state, "policy.hujson", "https://hs.example.com")
    assert (
        "# left out: 1 node with a tag that no tagOwners entry allows\n#   two\n"
        in text
    )
    (tmp_path / "policy.hujson").write_text(policy.text)
    assert [*read_back(text, tmp_path).nodes] == ["one"]


def test_what_is_left_out_is_counted():
    text = write(
        live(
            [User("1", "alice", provider="oidc"), User("2", "bob", provider="oidc")],
            [Node("1", "job-1", ephemeral=True), Node("2", "tv")],
        ),
        None,
        "https://hs.example.com",
    )
    assert "# left out: 2 users from an identity provider, which names them" in text
    assert "# left out: 1 ephemeral node which the server removes itself" in text
    assert "job-1" not in text


def test_comments_never_carry_control_characters():
    node = Node("1", "a\n- b\x1b[31m\u202e", tags=frozenset({"tag:b"}))
    policy = PolicyText('{"acls": []}')
    server = ServerInfo("headscale", "u", "dev\n\x1b[2J", "main")
    text = write(Live(server, NOW, nodes=(node,), policy=policy), None, "https://x")
    assert not {"\x1b", "\u202e"} & set(text)
    assert "\n- b" not in text


def test_names_are_in_the_order_of_people():
    found = sorted(["node-10", "node-2", "Alpha", "beta", "²", "node-2a"], key=natural)
    assert found == ["Alpha", "beta", "node-2", "node-2a", "node-10", "²"]
