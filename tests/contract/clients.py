"""Real clients for the contract: devices that join a server on this machine."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from .real import RealServer


class Clients:
    """The devices that joined a server; all of them leave when the block ends."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.joining: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()

    def join(
        self, name: str, key: str, routes: list[str], socks: int | None = None
    ) -> None:
        """Let a device join with a key and wait until the server sees it online.

        With `socks` it serves a SOCKS5 proxy on that port, whose traffic leaves from it.
        """
        self.begin(name, key, routes, socks)
        self.finish()

    def begin(
        self, name: str, key: str, routes: list[str], socks: int | None = None
    ) -> None:
        """Let a device join, as in `join`, and wait until the server knows it.

        It takes some seconds until it is online, which `finish` waits for.
        """
        programs = Path(os.environ["HEADSCALE_BINARIES"])
        folder = self.server.folder / name
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            self.daemons.append(
                subprocess.Popen(
                    [
                        programs / "tailscaled",
                        "--tun=userspace-networking",
                        f"--socket={folder}/s.sock",
                        f"--statedir={folder}",
                        "--port=0",
                        "--no-logs-no-support",
                        *([f"--socks5-server=127.0.0.1:{socks}"] if socks else []),
                    ],
                    # The server is its own relay, without TLS.
                    env={**os.environ, "TS_DEBUG_USE_DERP_HTTP": "1"},
                    stdout=log,
                    stderr=log,
                )
            )
        self._wait(lambda: (folder / "s.sock").exists(), f"{name} did not start")
        self.joining[name] = subprocess.Popen(
            [
                programs / "tailscale",
                f"--socket={folder}/s.sock",
                "up",
                f"--login-server={self.server.url}",
                f"--authkey={key}",
                f"--hostname={name}",
                "--accept-dns=false",
                "--accept-routes",
                f"--advertise-routes={','.join(routes)}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait(lambda: name in self._known(), f"{name} did not join")

    def finish(self) -> None:
        """Wait until all devices that have begun to join are online."""
        for name, command in self.joining.items():
            if command.wait(timeout=60):
                raise RuntimeError(f"{name} could not join")
            self._wait(lambda n=name: self._known().get(n), f"{name} is not online")
        self.joining.clear()

    def rejoin(self, name: str) -> None:
        """Let a device leave the network and come back: it is told everything anew."""
        self._tell(name, "down")
        self._tell(name, "up")

    def choose_exit(self, name: str, address: str) -> None:
        """Let a device use the exit node of an address, "" for none."""
        self._tell(name, "set", f"--exit-node={address}")

    def netmap(self, name: str) -> dict[str, Any]:
        """Return what the server told a device of the network."""
        return json.loads(self._tell(name, "debug", "netmap"))

    def _tell(self, name: str, *words: str) -> bytes:
        program = Path(os.environ["HEADSCALE_BINARIES"], "tailscale")
        socket = f"--socket={self.server.folder / name}/s.sock"
        command = [program, socket, *words]
        return subprocess.run(
            command, check=True, timeout=60, capture_output=True
        ).stdout

    def _known(self) -> dict[str, bool]:
        """Return the nodes that the server knows, each with whether it is online."""
        headers = {"Authorization": f"Bearer {self.server.api_key}"}
        try:
            answer = httpx.get(f"{self.server.url}/api/v1/node", headers=headers)
        except httpx.TimeoutException:  # a busy machine: it is asked again
            return {}
        return {node["name"]: node["online"] for node in answer.json()["nodes"]}

    def _wait(self, ready: Callable[[], bool | None], problem: str) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            if time.monotonic() > deadline:
                raise RuntimeError(problem)
            time.sleep(0.1)
