"""Ask a real server what it makes of a policy, through its API and its debug pages."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.contract import real
from tests.contract.policies.tailnet import NODES, USERS
from tests.contract.seeds import SeedNode

Answer = dict[str, Any]


class PolicyServer:
    """A running server with the tailnet; `ask` gives its answers to a policy."""

    def __init__(self, server: real.RealServer) -> None:
        self.server = server
        headers = {"Authorization": f"Bearer {server.api_key}"}
        # No certificates: loading those takes longer than most calls.
        plain: dict[str, Any] = {"timeout": 60, "verify": False}
        self._api = httpx.Client(base_url=server.url, headers=headers, **plain)
        accept = {"Accept": "application/json"}
        metrics = f"http://127.0.0.1:{server.ports[1]}"
        self._debug = httpx.Client(base_url=metrics, headers=accept, **plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.close()
        self._debug.close()

    def put(self, policy: object) -> str | None:
        """Store a policy; return the server's refusal, None when it took it.

        The lines of a refusal are sorted: several failures come in the order of chance.
        """
        return self.put_text(json.dumps(policy, ensure_ascii=False))

    def put_text(self, text: str) -> str | None:
        """Store a policy as it is written; see `put`."""
        answer = self._api.put("/api/v1/policy", json={"policy": text})
        if answer.status_code == 200:
            return None
        body = answer.json()
        said = [body.get("message", ""), *body.get("errors", ())]
        text = "\n".join(e["message"] if isinstance(e, dict) else e for e in said)
        return "\n".join(sorted(filter(None, text.splitlines())))

    def ask(self, policy: object, before: dict[str, list[str]]) -> Answer:
        """Store a policy and return all that the server says of it.

        `before` are the approved routes; what the policy's approvers add is told and
        taken back.
        """
        refusal = self.put(policy)
        if refusal is not None:
            return {"policy": policy, "refusal": refusal}
        answer = {"policy": policy, "refusal": None}
        if isinstance(policy, dict) and "autoApprovers" in map(str, policy):
            approved = self.approved()
            answer["approved"] = {
                name: routes for name, routes in approved.items() if routes
            }
        answer["filter"] = self.filter()
        answer["ssh"] = self.logins()
        for number, (name, routes) in enumerate(before.items(), 1):
            if "approved" in answer and answer["approved"].get(name, []) != routes:
                self.approve(number, routes)
        return answer

    def filter(self) -> list[dict[str, Any]]:
        """Return the packet filter for all nodes."""
        return [rule(each) for each in self._page("filter") or ()]

    def logins(self) -> dict[str, list[dict[str, Any]]]:
        """Return the SSH rules of each node that has some, by name."""
        pages = (self._page("ssh") or {}).items()
        found = {_name(key): logins(value) for key, value in pages}
        return {name: rules for name, rules in found.items() if rules}

    def key(self, user: int, tags: Sequence[str]) -> str:
        """Return a new pre-auth key of a user, or of tags."""
        body = {
            "user": str(user),
            "reusable": False,
            "expiration": "2099-01-01T00:00:00Z",
        }
        answer = self._api.post(
            "/api/v1/preauthkey", json={**body, "aclTags": list(tags)}
        )
        return str(answer.raise_for_status().json()["preAuthKey"]["key"])

    def approved(self) -> dict[str, list[str]]:
        """Return the approved routes of each node, by name."""
        nodes = self._api.get("/api/v1/node").raise_for_status().json()["nodes"]
        nodes.sort(key=lambda node: int(node["id"]))
        return {node["givenName"]: sorted(node["approvedRoutes"]) for node in nodes}

    def rename(self, number: int, name: str) -> None:
        """Give a user a name."""
        path = f"/api/v1/user/{number}/rename/{name}"
        self._api.post(path).raise_for_status()

    def approve(self, number: int, routes: list[str]) -> None:
        """Approve exactly these routes of a node."""
        path = f"/api/v1/node/{number}/approve_routes"
        self._api.post(path, json={"routes": routes}).raise_for_status()

    def _page(self, name: str) -> Any:
        return self._debug.get(f"/debug/{name}").raise_for_status().json()


def rule(page: dict[str, Any]) -> dict[str, Any]:
    """Return a filter rule of a server or client in a short form."""
    found: dict[str, Any] = {"src": page.get("SrcIPs") or []}
    if page.get("DstPorts"):
        found["dst"] = [
            {"ip": each["IP"], "ports": [each["Ports"]["First"], each["Ports"]["Last"]]}
            for each in page["DstPorts"]
        ]
    if page.get("IPProto"):
        found["proto"] = page["IPProto"]
    if page.get("CapGrant"):
        found["cap_grants"] = [
            {"dst": each["Dsts"], "caps": each["CapMap"]} for each in page["CapGrant"]
        ]
    return found


def logins(page: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the SSH rules of a node in a short form, those for nobody left out."""
    return [
        {
            "principals": sorted(p["nodeIP"] for p in each["principals"]),
            "users": each["sshUsers"],
            "action": "accept" if each["action"].get("accept") else "check",
            "accept_env": each.get("acceptEnv") or [],
        }
        for each in (page or {}).get("rules") or ()
        if each.get("principals")
    ]


def _name(key: str) -> str:
    """Return the node of a key such as `id:1 hostname:desk givenname:desk`."""
    return key.rpartition("givenname:")[2].rstrip()


@contextlib.contextmanager
def serving(
    release: str, folder: Path, nodes: Iterable[SeedNode] = NODES
) -> Iterator[PolicyServer]:
    """Start a server of a release with the seeded tailnet, and stop it in any case."""
    server = real.RealServer(
        release, "tailnet", folder, nodes=tuple(nodes), users=USERS
    )
    server.prepare()
    with real.running(server), PolicyServer(server) as asked:
        yield asked
