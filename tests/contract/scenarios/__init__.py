"""The traps of the wire, each a named list of requests; every version runs every one.

A scenario is not fitted to a version: what a version does not know it refuses, and
the refusal is what the recording keeps.
"""

from .joining import JOIN_TRAPS
from .keys import KEY_TRAPS
from .nodes import NODE_TRAPS
from .policy import POLICY_TRAPS
from .policytexts import POLICY_REFUSALS
from .routes import ROUTE_TRAPS
from .steps import Scenario
from .system import SYSTEM
from .tags import TAG_TRAPS
from .users import USER_TRAPS

SCENARIOS = (
    *SYSTEM,
    *USER_TRAPS,
    *NODE_TRAPS,
    *TAG_TRAPS,
    *ROUTE_TRAPS,
    *KEY_TRAPS,
    *JOIN_TRAPS,
    *POLICY_TRAPS,
    *POLICY_REFUSALS,
)

__all__ = ["SCENARIOS", "Scenario"]
