"""Real servers for the contract: start, seed, restart and stop one on loopback."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from . import seeds

PROGRAMS = {
    "0.26": "headscale-v0.26.1",
    "0.27": "headscale-v0.27.1",
    "0.28": "headscale-v0.28.0",
    "0.29": "headscale-v0.29.2",
    "main": "headscale-main",
}


def program(release: str) -> Path | None:
    """Return the server program of a release, or None when there is none here."""
    folder = os.environ.get("HEADSCALE_BINARIES")
    path = Path(folder, PROGRAMS[release]) if folder else None
    return path if path and path.exists() else None


def _reserve() -> tuple[int, socket.socket]:
    """Return the first of three free ports, and a socket that keeps them ours.

    The fourth port stays bound as long as the socket is open, so that two runs side
    by side never take the same three.
    """
    for port in range(18000, 18960, 4):
        held = socket.socket()
        with contextlib.ExitStack() as stack:
            try:
                held.bind(("127.0.0.1", port + 3))
                for number in range(port, port + 3):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                held.close()
                continue
        return port, held
    raise RuntimeError("no free port between 18000 and 18960")


class SlowStart(RuntimeError):
    """A server that was started and does not answer in time."""


class RealServer:
    """One server program with its folder; `seed` names the state it starts from.

    `users` (names with their e-mails) and `nodes` are those of the seed "tailnet";
    `fast` shortens the delay by which the
    server collects writes (0.28 and later), which tests want and measurements do not.
    """

    def __init__(
        self,
        release: str,
        seed: str,
        folder: Path,
        *,
        users: Mapping[str, str] = seeds.USERS,
        nodes: Sequence[seeds.SeedNode] | None = None,
        fast: bool = True,
    ) -> None:
        self.release, self.seed, self.folder = release, seed, folder
        self.users, self.fast = users, fast
        self.nodes = seeds.TAILNETS.get(seed, ()) if nodes is None else nodes
        found = program(release)
        if found is None:
            raise RuntimeError(f"HEADSCALE_BINARIES has no {PROGRAMS[release]}")
        self.program = found
        self.process: subprocess.Popen[bytes] | None = None
        self.api_key = ""
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The address the server listens on."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def prepare(self) -> None:
        """Make the database, an API key and the seeded rows; leaves it stopped."""
        self.start()
        self.api_key = self._run("apikeys", "create", "--expiration", "90d")
        if self.seed in seeds.TAILNETS:
            self._create_users_and_key()
        self.stop()
        if self.seed == "namesakes":
            _insert_foreign(self.folder / "db.sqlite", len(self.users))
        if self.seed in seeds.TAILNETS:
            insert_nodes(self.folder / "db.sqlite", self.users, self.nodes)

    def copy(self, folder: Path) -> "RealServer":
        """Return a second server that starts from this stopped one's state."""
        shutil.copytree(self.folder, folder)
        other = RealServer(self.release, self.seed, folder)
        other.api_key = self.api_key
        return other

    def start(self) -> None:
        """Start the program and wait until it answers."""
        first, self._held = _reserve()
        self.ports = [first, first + 1, first + 2]
        self._configure()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-c", "config.yaml", "serve"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._healthy():
            if time.monotonic() > deadline:
                raise SlowStart("the server does not answer")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the program; what it did not write to the database is lost."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
            self._held.close()

    def restart(self) -> None:
        """Stop and start; the address may change."""
        self.stop()
        self.start()

    def _healthy(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        try:
            url = f"{self.url}/health"
            return httpx.get(url, timeout=2, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.program, "-c", "config.yaml", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().splitlines()[-1]

    def _create_users_and_key(self) -> None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=30) as client:
            for name, email in self.users.items():
                body = {"name": name, **({"email": email} if email else {})}
                client.post("/api/v1/user", json=body).raise_for_status()
            client.post("/api/v1/preauthkey", json=seeds.KEY).raise_for_status()

    def _configure(self) -> None:
        path = ""
        if self.seed == "file":
            path = str(self.folder.resolve() / "policy.hujson")
            Path(path).write_text(seeds.FILE_POLICY)
        mode = "file" if self.seed.startswith("file") else "database"
        config = _config(self.ports, {"mode": mode, "path": path})
        if self.fast and self.release not in ("0.26", "0.27"):
            config["tuning"] = {"node_store_batch_timeout": "5ms"}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))


def _config(ports: list[int], policy: dict[str, str]) -> dict[str, Any]:
    return {
        "server_url": f"http://127.0.0.1:{ports[0]}",
        "listen_addr": f"127.0.0.1:{ports[0]}",
        "metrics_listen_addr": f"127.0.0.1:{ports[1]}",
        "grpc_listen_addr": f"127.0.0.1:{ports[2]}",
        "noise": {"private_key_path": "noise.key"},
        "prefixes": {
            "v4": "100.64.0.0/10",
            "v6": "fd7a:115c:a1e0::/48",
            "allocation": "sequential",
        },
        # Clients that find no relay rebind every few seconds and lose each other.
        "derp": {
            "server": {
                "enabled": True,
                "region_id": 900,
                "region_code": "loop",
                "region_name": "loopback",
                "stun_listen_addr": f"127.0.0.1:{ports[0]}",
                "private_key_path": "derp.key",
                "automatically_add_embedded_derp_region": True,
            },
            "urls": [],
            "auto_update_enabled": False,
        },
        "disable_check_updates": True,
        "database": {"type": "sqlite", "sqlite": {"path": "db.sqlite"}},
        "log": {"level": "warn"},
        "policy": policy,
        "dns": {
            "magic_dns": True,
            "base_domain": "example.net",
            "override_local_dns": False,
            "nameservers": {"global": []},
        },
        "unix_socket": "s.sock",
        "logtail": {"enabled": False},
    }


def insert_nodes(
    database: Path, users: Iterable[str], nodes: Sequence[seeds.SeedNode]
) -> None:
    """Write the seeded nodes into the database of a stopped server.

    Rows are the only way to have nodes that advertise routes on 0.29 and later
    without running clients: the debug call of those versions forgets routes.
    """
    ids = seeds.owner_ids(users)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        known = {row[1] for row in connection.execute("pragma table_info(nodes)")}
        for number, node in enumerate(nodes, 1):
            row = _row(number, node) | {"user_id": _owner(node, ids, known)}
            row = {k: v for k, v in row.items() if k in known}
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"insert into nodes ({names}) values ({marks})", list(row.values())
            )
        for table in ("users", "pre_auth_keys"):
            connection.execute(f"update {table} set created_at = ?", [_moment()])
        connection.commit()


def _insert_foreign(database: Path, known: int) -> None:
    """Write the users whom an identity provider made, after those that are known."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for number, (name, email, provider_id) in enumerate(seeds.FOREIGN, known + 1):
            connection.execute(
                "insert into users (id, name, display_name, email, provider, "
                "provider_identifier, profile_pic_url, created_at, updated_at) "
                "values (?, ?, '', ?, 'oidc', ?, '', ?, ?)",
                [number, name, email, provider_id, _moment(), _moment()],
            )
        connection.commit()


def _row(number: int, node: seeds.SeedNode) -> dict[str, Any]:
    v4, v6 = seeds.addresses(number)
    name = node.hostname or node.name
    tags = json.dumps(node.tags)
    return {
        "id": number,
        "machine_key": node.secret("mkey"),
        "node_key": node.secret("nodekey"),
        "disco_key": node.secret("discokey"),
        "endpoints": "[]",
        "host_info": json.dumps(
            {
                "OS": "linux",
                "Hostname": name,
                "RoutableIPs": node.routes,
                "RequestTags": node.asked,
            }
        ),
        "ipv4": v4,
        "ipv6": v6,
        "hostname": name,
        "given_name": node.name,
        "register_method": "authkey" if node.key else "cli",
        "tags": tags,
        "forced_tags": tags,
        "approved_routes": json.dumps(node.approved),
        "auth_key_id": node.key,
        "last_seen": _moment(),
        "expiry": _moment(node.expiry) if node.expiry else None,
        "created_at": _moment(),
        "updated_at": _moment(),
    }


def _owner(node: seeds.SeedNode, ids: Mapping[str, int], known: set[str]) -> int | None:
    """Return the user's id; from 0.28, which has a column for tags, tags own a node."""
    return None if node.tags and "tags" in known else ids[node.user]


def _moment(text: str = seeds.CREATED) -> str:
    return text.replace("T", " ").replace("Z", "+00:00")


@contextlib.contextmanager
def running(server: RealServer) -> Iterator[RealServer]:
    """Start a server, and stop it in any case."""
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)
