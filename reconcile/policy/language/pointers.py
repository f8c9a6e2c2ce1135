"""Places in a policy as servers name them in a refusal."""

import json
import re

from reconcile.policy.language.fields import Path
from reconcile.source.hujson import Document

# As Go's JSON decoder says it: within "/acls/0/dst", a JSON pointer in quotes.
_POINTER = re.compile(r'\bwithin ("/(?:[^"\\]|\\.)*")')
_PLACE = re.compile(r"\bline ([0-9]{1,9}), column ([0-9]{1,9})")


def path_of(message: str, policy: Document) -> Path | None:
    """Return the path to what a refusal of a policy is about, None if it names none.

    Where the message leads out of the policy, the nearest part above is returned.
    """
    pointer = _POINTER.search(message)
    if pointer:
        return _followed(pointer[1], policy.value)
    place = _PLACE.search(message)
    if place:
        return policy.path_at(policy.lines.offset(int(place[1]), int(place[2])))
    return None


def pointer(path: Path) -> str:
    """Return a path as servers name it, a JSON pointer: `/acls/0/dst`."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _followed(quoted: str, value: object) -> Path:
    try:
        pointer: str = json.loads(quoted)
    except ValueError:  # an escape that only Go has
        return ()
    path: Path = ()
    for written in pointer.split("/")[1:]:
        step = written.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and step in value:
            path, value = (*path, step), value[step]
        elif isinstance(value, list) and step in map(str, range(len(value))):
            path, value = (*path, int(step)), value[int(step)]
        else:
            break
    return path
