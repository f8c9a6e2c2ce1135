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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()

    def join(
        self, name: str, key: str, routes: list[str], socks: int | None = None
    ) -> None:
        """Let a device join with a key and wait until the server sees it.

        With `socks` it serves a SOCKS5 proxy on that port, whose traffic leaves from it.
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
        subprocess.run(
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
            check=True,
            timeout=60,
            capture_output=True,
        )
        self._wait(lambda: self._seen(name), f"{name} is not online")

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

    def _seen(self, name: str) -> bool:
        headers = {"Authorization": f"Bearer {self.server.api_key}"}
        try:
            answer = httpx.get(f"{self.server.url}/api/v1/node", headers=headers)
        except httpx.TimeoutException:  # a busy machine: it is asked again
            return False
        return any(n["name"] == name and n["online"] for n in answer.json()["nodes"])

    def _wait(self, ready: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            if time.monotonic() > deadline:
                raise RuntimeError(problem)
            time.sleep(0.1)
