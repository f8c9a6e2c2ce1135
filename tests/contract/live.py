"""Play scenarios on real servers: one prepared folder per seed, copied for each."""

from pathlib import Path
from typing import Any

import httpx

from . import clients, runner
from .real import RealServer, running
from .scenarios import Scenario


class Ground:
    """The prepared servers of one release, made when a seed is first asked for."""

    def __init__(self, release: str, folder: Path) -> None:
        self.release, self.folder = release, folder
        self.prepared: dict[str, RealServer] = {}

    def play(self, scenario: Scenario) -> list[dict[str, Any]]:
        """Run one scenario on a server of its own and return the exchanges."""
        server = self._seeded(scenario.seed).copy(self.folder / scenario.name)
        with running(server):
            client = httpx.Client(timeout=60)

            def send(step: runner.Step) -> httpx.Response:
                parts = runner.request(step, server.api_key)
                return client.request(**parts | {"url": server.url + parts["url"]})

            with client, clients.Clients(server) as devices:
                operations = {
                    "RESTART": lambda _step: server.restart(),
                    "JOIN": lambda step: devices.join(step.path, **step.body),
                }
                return runner.run(scenario.steps, send, operations)

    def _seeded(self, seed: str) -> RealServer:
        if seed not in self.prepared:
            server = RealServer(self.release, seed, self.folder / f"seed-{seed}")
            server.prepare()
            self.prepared[seed] = server
        return self.prepared[seed]
