"""How scenarios are written: requests with names, and the states they share."""

from dataclasses import dataclass
from typing import Any

from ..runner import Step


@dataclass(frozen=True)
class Scenario:
    """A name that says the trap, the state to start from, and the requests."""

    name: str
    steps: tuple[Step, ...]
    seed: str = "tailnet"


NODES = Step("GET", "/api/v1/node")
USERS = Step("GET", "/api/v1/user")
KEYS = Step("GET", "/api/v1/preauthkey")
KEYS_OF_BOB = Step("GET", "/api/v1/preauthkey?user=2")
POLICY = Step("GET", "/api/v1/policy")
RESTART = Step("RESTART")
FUTURE = "2033-01-01T00:00:00Z"
OWNED = (
    '{"acls": [], "tagOwners": {"tag:web": ["alice@"], "tag:db": [], '
    '"tag:x": ["bob@"]}}\n'
)
APPROVING = (
    '{"acls": [], "tagOwners": {"tag:db": []}, "autoApprovers": '
    '{"routes": {"10.0.0.0/8": ["bob@"]}, "exitNode": ["alice@"]}}\n'
)


def get(path: str, **more: Any) -> Step:
    """Return a GET."""
    return Step("GET", path, **more)


def post(path: str, body: Any = None, **more: Any) -> Step:
    """Return a POST."""
    return Step("POST", path, body, **more)


def delete(path: str, **more: Any) -> Step:
    """Return a DELETE."""
    return Step("DELETE", path, **more)


def put_policy(text: Any, **more: Any) -> Step:
    """Return a PUT of a policy text."""
    return Step("PUT", "/api/v1/policy", {"policy": text}, **more)


def tags(node: int | str, *names: str) -> Step:
    """Return a request that sets a node's tags."""
    return post(f"/api/v1/node/{node}/tags", {"tags": list(names)})


def routes(node: int | str, *prefixes: str) -> Step:
    """Return a request that sets a node's approved routes."""
    return post(f"/api/v1/node/{node}/approve_routes", {"routes": list(prefixes)})


def user(**fields: Any) -> Step:
    """Return a request that creates a user."""
    return post("/api/v1/user", fields)


def scenario(name: str, *steps: Step, seed: str = "tailnet") -> Scenario:
    """Return a scenario."""
    return Scenario(name, steps, seed)


def rename_user(number: int | str, name: str) -> Step:
    """Return a request that renames a user."""
    return post(f"/api/v1/user/{number}/rename/{name}")


def rename_node(number: int | str, name: str) -> Step:
    """Return a request that renames a node."""
    return post(f"/api/v1/node/{number}/rename/{name}")


def key(**fields: Any) -> Step:
    """Return a request that creates a pre-auth key."""
    return post("/api/v1/preauthkey", {"expiration": FUTURE} | fields)
