"""The field names of the policy language, and finding them as the servers do.

Both servers match field names without regard to case: `"ACLs"` is `acls`. Keys that
are data (group names, prefixes, capabilities) are not field names and match exactly.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

# In the order in which a policy is written and reported.
SECTIONS = (
    "groups",
    "hosts",
    "ipsets",
    "postures",
    "defaultSrcPosture",
    "attrConfig",
    "tagOwners",
    "autoApprovers",
    "acls",
    "grants",
    "ssh",
    "nodeAttrs",
    "tests",
    "sshTests",
    "derpMap",
    "disableIPv4",
    "OneCGNATRoute",
    "randomizeClientPort",
)
RULES: Mapping[str, tuple[str, ...]] = {
    "acls": ("action", "proto", "src", "srcPosture", "dst"),
    "grants": ("src", "srcPosture", "dst", "ip", "app", "via"),
    "ssh": (
        "action",
        "src",
        "srcPosture",
        "dst",
        "users",
        "checkPeriod",
        "acceptEnv",
        "recorder",
        "enforceRecorder",
    ),
    "nodeAttrs": ("target", "attr", "app", "ipPool"),
    "tests": ("src", "srcPostureAttrs", "proto", "accept", "deny"),
    "sshTests": ("src", "dst", "accept", "check", "deny"),
}
APPROVERS = ("routes", "services", "exitNode")

_FIELDS = {"": SECTIONS, **RULES, "autoApprovers": APPROVERS}
_CANONICAL = {name.lower(): name for name in SECTIONS}
_CANONICAL_FIELD = {
    section: {name.lower(): name for name in names}
    for section, names in _FIELDS.items()
}


def fields(section: str) -> tuple[str, ...]:
    """Return the fields that some server knows in a section, "" for the top level."""
    return _FIELDS[section]


def section_name(key: str) -> str:
    """Return the canonical spelling of a top-level key; unknown ones as they are."""
    return _CANONICAL.get(key.lower(), key)


def field_name(section: str, key: str) -> str:
    """Return the canonical spelling of a section's field; unknown ones as they are."""
    return _CANONICAL_FIELD.get(section, {}).get(key.lower(), key)


def find(value: object, name: str) -> tuple[str, Any] | None:
    """Return the key as written and the value of a field, None when it is absent.

    As in Go's decoder the exact spelling wins over another one.
    """
    if not isinstance(value, dict):
        return None
    if name in value:
        return name, value[name]
    wanted = name.lower()
    for key, found in value.items():
        if isinstance(key, str) and key.lower() == wanted:
            return key, found
    return None


def get(value: object, name: str) -> Any:
    """Return the value of a field, None when it is absent."""
    found = find(value, name)
    return found[1] if found else None


def entries(value: object, *names: str) -> Iterator[tuple[Path, str, Any]]:
    """Yield path, key and value of each member below the named fields.

    Nothing is yielded where the policy does not hold an object.
    """
    path: Path = ()
    for name in names:
        found = find(value, name)
        if found is None:
            return
        path, value = (*path, found[0]), found[1]
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*path, key), key, member


def rules(value: object, section: str) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of each rule of a section that is a list."""
    found = find(value, section)
    if found and isinstance(found[1], list):
        for index, rule in enumerate(found[1]):
            yield (found[0], index), rule


def rule_at(value: object, path: Path) -> Any:
    """Return the rule in which a path ends, None where there is none."""
    section, index = path[:2]
    rules = value.get(section) if isinstance(value, dict) else None
    if isinstance(rules, list) and isinstance(index, int) and index < len(rules):
        return rules[index]
    return None


def strings(path: Path, value: object) -> Iterator[tuple[Path, str]]:
    """Yield path and text of a string, or of each string in a list."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, index), item
