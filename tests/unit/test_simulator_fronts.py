"""The two doors to a simulated server say the same things."""

import http.client
import json
import socket

import httpx
import pytest

from reconcile.errors import InputError
from reconcile.simulator import SimulatorTransport, World, serve
from reconcile.simulator.world import ApiKey, Node, User

KEY = {"Authorization": "Bearer anything"}


@pytest.fixture
def world():
    return World(users=[User(1, "alice")])


def test_the_transport_answers_in_the_process(world):
    with httpx.Client(
        transport=SimulatorTransport(world), base_url="http://x"
    ) as client:
        answer = client.get("/api/v1/user", headers=KEY)
    assert answer.json()["users"][0]["name"] == "alice"


def test_both_doors_give_the_same_bytes(world):
    requests = [
        ("GET", "/version", None),
        ("GET", "/api/v1/user?name=alice", None),
        ("POST", "/api/v1/user", b'{"name": "bob"}'),
        ("POST", "/api/v1/user/2/rename/b%C3%B6b%20x", None),
        ("GET", "/api/v1/user", None),
        ("HEAD", "/api/v1/user", None),
        ("PATCH", "/api/v1/user", None),
    ]
    other = World(users=[User(1, "alice", created=world.users[0].created)])
    found = []
    with (
        serve(world) as server,
        httpx.Client(base_url=server.url, headers=KEY) as outside,
        httpx.Client(
            transport=SimulatorTransport(other), base_url="http://x", headers=KEY
        ) as inside,
    ):
        for client in (outside, inside):
            answers = [client.request(m, p, content=b) for m, p, b in requests]
            found.append([(a.status_code, _timeless(a.text)) for a in answers])
    assert found[0] == found[1]


def _timeless(text):
    return text if "createdAt" not in text else _without_times(json.loads(text))


def _without_times(value):
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k != "createdAt"}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


def test_a_connection_stays_open_between_requests(world):
    with serve(world) as server:
        host, port = server.server_address
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/health")
        connection.getresponse().read()
        socket = connection.sock
        connection.request("POST", "/api/v1/user", b'{"name": "bob"}', KEY)
        assert connection.getresponse().read()
        assert connection.sock is socket is not None
        connection.close()


def test_half_a_request_is_none(world):
    """A client that is killed between head and body un-approves nothing."""
    routes = ["10.1.0.0/16"]
    world.nodes.append(Node(1, "r", "r", user=1, routes=routes, approved=routes))
    head = (
        "POST /api/v1/node/1/approve_routes HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer anything\r\nContent-Length: 9\r\n\r\n"
    )
    with serve(world) as server:
        address = "127.0.0.1", server.server_address[1]
        with socket.create_connection(address) as client:
            client.sendall(head.encode())
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
    assert list(world.nodes[0].approved) == routes


def test_the_server_listens_on_loopback_only(world):
    with serve(world) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_stopped_server_frees_its_port(world):
    with serve(world) as server:
        port = server.server_address[1]
    with serve(world, port) as server:
        assert server.server_address[1] == port


def test_a_world_in_a_file_is_shared_by_both_doors(tmp_path):
    path = tmp_path / "world.json"
    with serve(path) as server:
        httpx.post(f"{server.url}/api/v1/user", json={"name": "eve"}, headers=KEY)
    with httpx.Client(
        transport=SimulatorTransport(path), base_url="http://x"
    ) as client:
        assert "eve" in client.get("/api/v1/user", headers=KEY).text


def test_a_world_broken_while_it_is_served_is_no_traceback(tmp_path):
    path = tmp_path / "world.json"
    with serve(path) as server:
        path.write_text("{")
        answer = httpx.get(f"{server.url}/api/v1/user", headers=KEY)
    assert answer.status_code == 500
    assert "this world file is broken" in answer.text


def test_a_broken_world_is_an_input_error_in_the_process(tmp_path):
    path = tmp_path / "world.json"
    path.write_text("{")
    with pytest.raises(InputError):
        SimulatorTransport(path)


def test_any_key_is_good_until_the_world_lists_one(world):
    def status(key):
        with httpx.Client(transport=SimulatorTransport(world)) as client:
            return client.get("http://x/api/v1/user", headers=key).status_code

    assert status(KEY) == 200
    assert status({}) == 401
    assert status({"Authorization": "Bearer "}) == 401
    world.any_key = False
    assert status(KEY) == 401
    world.api_keys.append(ApiKey(1, "anything", "2099-01-01T00:00:00Z"))
    assert status(KEY) == 200
    world.api_keys[0].expiration = "2020-01-01T00:00:00Z"
    assert status(KEY) == 401


def test_spacing_is_the_worlds_choice(world):
    with httpx.Client(transport=SimulatorTransport(world), headers=KEY) as client:
        assert '"users":[' in client.get("http://x/api/v1/user").text
        world.spaced = True
        assert '"users": [' in client.get("http://x/api/v1/user").text
        world.emulate = "main"
        assert '"users":[' in client.get("http://x/api/v1/user").text
