"""A control server in memory: what the first minute, the demo and the tests talk to.

It reads the wire on its own: nothing here comes from the adapter in `server`, so that
the two can only agree by both being right. Recordings of real servers hold it honest.
The world it serves is described in `world`; `headscale` answers the requests.
"""

from reconcile.simulator.fronts import Server, Simulator, SimulatorTransport, serve
from reconcile.simulator.wire import Request, Response
from reconcile.simulator.world import World
from reconcile.simulator.worldfile import WorldFile

__all__ = [
    "Request",
    "Response",
    "Server",
    "Simulator",
    "SimulatorTransport",
    "World",
    "WorldFile",
    "serve",
]
