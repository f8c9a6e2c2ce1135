"""The node that the program runs on, from the address that the kernel would use."""

import pytest

from reconcile.live.own_node import own_node
from tests.support import node

NODES = (node(1, "laptop"), node(2, "desk", addresses=("100.64.0.2", "fd7a::2")))


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ({"100.64.0.1": "100.64.0.2"}, "desk"),
        ({"100.64.0.1": "100.64.0.1"}, "laptop"),
        ({"100.64.0.1": "192.168.1.5", "fd7a::2": "fd7a::2"}, "desk"),
        ({"100.64.0.1": "192.168.1.5"}, None),
        ({}, None),
    ],
)
def test_own_node(local, name):
    found = own_node(NODES, lambda address: local.get(address, ""))
    assert (found.name if found else None) == name


def test_an_address_that_is_none_is_never_looked_up():
    def never(address):
        raise AssertionError(address)

    assert own_node((node(1, "x", addresses=("example.com", "")),), never) is None


def test_the_kernel_is_asked_and_nothing_is_sent(monkeypatch):
    """Loopback is the one address of which every machine knows the way."""
    monkeypatch.undo()
    from reconcile.live.own_node import local_address

    assert local_address("127.0.0.1") == "127.0.0.1"


def test_a_plan_says_what_becomes_of_the_own_node(command, monkeypatch, tmp_path):
    """Only of a real server: a world in a file or a snapshot is another place."""
    from reconcile.simulator import WorldFile, serve
    from reconcile.simulator.demo import world

    file = WorldFile(tmp_path / "w.json", create=world)
    (laptop,) = (n for n in file.world.nodes if n.name == "laptop")
    monkeypatch.setattr(
        "reconcile.live.own_node.local_address", lambda _: laptop.addresses[0]
    )
    yaml = "version: 1\npolicy: { acls: [] }\n"
    (tmp_path / "tailnet.yaml").write_text(yaml)
    monkeypatch.setenv("HEADSCALE_API_KEY", "any")
    with serve(file) as server:
        monkeypatch.setenv("HEADSCALE_URL", server.url)
        out = command("plan")[1]
    assert "! this runner's own node, node:laptop, loses" in out
    monkeypatch.setenv("HEADSCALE_URL", "simulator:w.json")
    assert "runner" not in command("plan")[1]
