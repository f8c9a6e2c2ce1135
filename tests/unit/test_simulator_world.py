"""The world file: what is kept, what is refused, and that nobody's write is lost."""

import json
import threading

import pytest

from reconcile.errors import InputError, ReconcileError, Refused
from reconcile.simulator import World, WorldFile, demo, enrol
from reconcile.simulator.release import RELEASES, release_named
from reconcile.simulator.world import Key, Node, User
from reconcile.simulator.worldfile import parse


def test_a_missing_world_is_made_and_kept(tmp_path):
    path = tmp_path / "world.json"
    WorldFile(path)
    assert json.loads(path.read_text()) == {"emulate": "0.29", "any_key": True}


@pytest.mark.parametrize("release", RELEASES)
def test_a_world_reads_back_as_it_was(release):
    world = demo.world(release)
    world.policy.running = "{}"
    world.nodes[0].disk = {"approved": ["10.0.0.0/8"], "expiry": None}
    assert parse(world.as_json()) == world


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{", (1, 2), "not JSON"),
        ('{"users": [\n  {"id" 1}\n]}', (2, 9), "not JSON"),
        ("", (1, 1), "not JSON"),
        ("[]", (1, 1), "the world must be an object"),
        ('{"nodez": []}', (1, 1), "the world has no field `nodez`"),
        ('{"nodes": {}}', (1, 11), "nodes must be a list"),
        ('{"nodes": [\n  {"name": "a"}]}', (2, 3), "nodes[0] needs `id`"),
        (
            '{"nodes": [{"id": "1", "name": "a"}]}',
            (1, 19),
            "nodes[0].id must be a whole",
        ),
        (
            '{"nodes": [{"id": true, "name": "a"}]}',
            (1, 19),
            "nodes[0].id must be a whole",
        ),
        (
            '{"nodes": [{"id": 1, "name": "a", "routes": [1]}]}',
            (1, 46),
            "routes[0] must",
        ),
        ('{"policy": {"mode": 1}}', (1, 21), "policy.mode must be a text"),
        ('{"emulate": "0.25"}', (1, 1), "no version `0.25` to emulate"),
    ],
)
def test_a_broken_world_says_where(tmp_path, text, place, message):
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        WorldFile(path)
    (finding,) = caught.value.diagnostics
    assert (finding.position.line, finding.position.column) == place
    assert finding.position.file == str(path)
    assert message in finding.message
    assert path.read_text() == text


@pytest.mark.parametrize("content", [b"\xff\xfe{}", None])
def test_a_file_that_cannot_be_read_is_no_traceback(tmp_path, content):
    path = tmp_path / "world.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ReconcileError, match="cannot use the world"):
        WorldFile(path)


def test_a_folder_that_is_not_there_is_no_traceback(tmp_path):
    with pytest.raises(ReconcileError, match="No such file or directory"):
        WorldFile(tmp_path / "none" / "world.json")


def test_nothing_is_written_when_nothing_changed(tmp_path):
    path = tmp_path / "world.json"
    path.write_text('{ "users": [ {"id": 1, "name": "alice", "created": "x"} ] }')
    file = WorldFile(path)
    with file.changing() as world:
        assert world.user_named("alice")
    assert path.read_text().startswith('{ "users"')


def test_a_change_replaces_the_file_in_one_step(tmp_path):
    path = tmp_path / "world.json"
    file = WorldFile(path)
    with path.open() as before:
        with file.changing() as world:
            world.users.append(User(world.new_id("user"), "alice"))
        assert "alice" not in before.read()
    assert "alice" in path.read_text()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "world.json",
        "world.json.lock",
    ]


def test_reading_alone_makes_no_file(tmp_path):
    path = tmp_path / "world.json"
    WorldFile(path)
    (tmp_path / "world.json.lock").unlink()
    file = WorldFile(path, None, only_read=True)
    with file.reading() as world, file.changing() as same:
        assert world.as_json() == same.as_json()
    assert [each.name for each in tmp_path.iterdir()] == ["world.json"]


def test_a_lock_is_made_nowhere_else(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/world.json.lock").symlink_to("../elsewhere")
    with pytest.raises(ReconcileError, match="cannot use the world"):
        WorldFile(tmp_path / "in/world.json")
    assert not (tmp_path / "elsewhere").exists()


def test_a_failed_change_leaves_file_and_world_as_they_were(tmp_path):
    path = tmp_path / "world.json"
    file = WorldFile(path)
    before = path.read_text()

    def change():
        with file.changing() as world:
            world.users.append(User(world.new_id("user"), "alice"))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        change()
    assert path.read_text() == before
    with file.reading() as world:
        assert world.users == []


def test_an_edit_by_hand_is_seen(tmp_path):
    path = tmp_path / "world.json"
    file = WorldFile(path)
    path.write_text('{"users": [{"id": 7, "name": "bob"}]}')
    with file.changing() as world:
        assert world.user(7).name == "bob"
        assert world.new_id("user") == 8


def test_two_files_on_one_world_lose_no_write(tmp_path):
    path = tmp_path / "world.json"

    def add(name):
        file = WorldFile(path)
        for number in range(10):
            with file.changing() as world:
                world.users.append(User(world.new_id("user"), f"{name}{number}"))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world = parse(path.read_text())
    assert len({user.name for user in world.users}) == 40
    assert sorted(user.id for user in world.users) == list(range(1, 41))


def test_an_id_is_never_used_again(tmp_path):
    world = World(users=[User(1, "alice"), User(2, "bob")])
    world.users.pop()
    again = parse(world.as_json())
    assert again.new_id("user") == 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0.28", "0.28"),
        ("v0.28.0", "0.28"),
        ("0.26.1", "0.26"),
        ("v0.30.0-dev", "main"),
    ],
)
def test_versions_may_be_spelled_as_people_do(text, name):
    assert release_named(text) == name


def test_a_single_use_key_lets_one_device_in():
    key = Key(1, secret="once", tags=["tag:ci"], expiration="2099-01-01T00:00:00Z")
    world = World(keys=[key])
    node = enrol.join(world, "once", "build")
    assert (node.user, node.tags, node.key, node.online) == (None, ["tag:ci"], 1, True)
    with pytest.raises(Refused, match="already used"):
        enrol.join(world, "once", "build")


def test_an_expired_key_lets_nobody_in():
    world = World(users=[User(1, "alice")], keys=[Key(1, user=1, secret="old")])
    with pytest.raises(Refused, match="authkey expired"):
        enrol.join(world, "old", "laptop")


def test_routers_that_are_online_take_over_from_each_other():
    world = World()
    first = enrol.connect(
        world, "a", "bob", routes=["10.0.0.0/8"], approved=["10.0.0.0/8"]
    )
    second = enrol.connect(
        world, "b", "bob", routes=["10.0.0.0/8"], approved=["10.0.0.0/8"]
    )
    assert world.primaries == {"10.0.0.0/8": first.id}
    enrol.leave(world, "a")
    assert world.primaries == {"10.0.0.0/8": second.id}


def test_nodes_of_an_old_server_keep_their_user_beside_their_tags():
    world = World("0.27", nodes=[Node(1, "x", user=None)])
    node = enrol.connect(world, "nas", "alice", tags=["tag:storage"])
    assert world.user(node.user).name == "alice"
    with pytest.raises(Refused, match="needs a user"):
        enrol.connect(world, "other", None, tags=["tag:storage"])


def test_a_world_written_by_hand_has_the_same_devices_each_time():
    text = '{"nodes": [{"id": 1, "name": "nas"}, {"id": 2, "name": "tv"}]}'
    first, second = (parse(text, "world.json") for _ in range(2))
    keys = [node.machine_key for node in first.nodes]
    assert keys == [node.machine_key for node in second.nodes]
    assert len(set(keys)) == 2
