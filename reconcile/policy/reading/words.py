"""Words that a release does not know: what is probably meant, and what to write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from reconcile.policy.language import fields, sets
from reconcile.policy.language.pairing import split_ports
from reconcile.policy.language.releases import ROLES, Release
from reconcile.policy.language.selectors import Selector
from reconcile.remedies import Reword
from reconcile.source.near import nearest

ONLY_TAILSCALE = "only Tailscale itself has it"
_NEAR = 0.7  # names that people choose are short: less than this fits by accident
_SURE = 0.85  # more than this is a slip of the finger

# No remedy may open more than the file does: a condition that is taken out does.
_STATE = (
    "Headscale asks no device about its state: narrow src to those who may do without "
    "the condition, or leave the rule out"
)
_RECORDER = (
    "Headscale records no sessions: leave the rule out where one must be recorded"
)
_CONFIG = "in the server's config.yaml"
# The fields that only Tailscale has, by section ("" is the top level), each with what
# to write on Headscale.
HOSTED_FIELDS: Mapping[str, Mapping[str, str]] = {
    "": {
        "ipsets": "give each network a name under hosts",
        "postures": "leave it out, once no rule asks for one",
        "defaultSrcPosture": _STATE,
        "attrConfig": "Headscale keeps no attributes of devices: leave it out",
        "derpMap": f"name relays under derp.urls or derp.paths {_CONFIG}",
        "disableIPv4": f"leave it out; prefixes.v4 {_CONFIG} may be empty",
        "OneCGNATRoute": "Headscale leaves that to the clients: leave it out",
    },
    "acls": {"srcPosture": _STATE},
    "grants": {"srcPosture": _STATE},
    "ssh": {
        "srcPosture": _STATE,
        "recorder": _RECORDER,
        "enforceRecorder": _RECORDER,
    },
    "tests": {"srcPostureAttrs": "Headscale asks no device about its state"},
    "nodeAttrs": {"app": "Headscale has no app connectors: leave it out"},
    "autoApprovers": {"services": "Headscale has no services: leave it out"},
}
# The same for words that stand in lists.
HOSTED_WORDS: Mapping[str, str] = {
    "role": "Headscale has no roles: name a group of your own",
    "shared": "Headscale shares no devices between tailnets: leave it out",
    "domain": "name a group that lists these users",
    "ipset": "name the networks one by one, or a name of theirs from hosts",
    "service": "Headscale has no services: name the tag of the nodes behind it",
    "posture": _STATE,
    "funnel": "Headscale has no funnel: leave it out",
    "ipPool": f"Headscale hands out addresses from prefixes.v4 and .v6 {_CONFIG}",
}
# What newer Headscale releases have: since when, and what to do until then.
_NEWER: Mapping[str, tuple[str, str]] = {
    "grants": ("0.29", "write the rules as acls"),
    "tests": ("0.29", "keep the tests as `assert` in tailnet.yaml"),
    "sshTests": ("0.29", "leave them out"),
    "nodeAttrs": ("0.29", "leave them out"),
    "randomizeClientPort": ("0.29", f"set randomize_client_port {_CONFIG}"),
    "acceptEnv": ("0.29", "leave it out"),
    "autogroup:member": ("0.27", "name groups"),
    "autogroup:tagged": ("0.27", "name tags"),
    "autogroup:self": ("0.27", "name each user's own devices"),
    "autogroup:danger-all": ("0.29", 'write "*"'),
}
# Names of the same thing in older policies, and in other people's words.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "users": ("src",),
    "user": ("src",),
    "source": ("src",),
    "sources": ("src",),
    "from": ("src",),
    "port": ("ip", "dst"),
    "ports": ("ip", "dst"),
    "destination": ("dst",),
    "destinations": ("dst",),
    "to": ("dst",),
    "protocol": ("proto",),
    "allow": ("accept",),
    "rules": ("acls",),
    "tags": ("tagOwners",),
    "aliases": ("hosts",),
}

RENAMED = frozenset(name for names in _SYNONYMS.values() for name in names)


@dataclass(frozen=True, slots=True)
class Advice:
    """Why a word is refused, what to write instead, and the name that is meant.

    `bare` is the word without what does not belong to it.

    `known` tells that some other server has the word: it is no typing mistake.
    """

    help: str
    why: str = ""
    known: bool = False
    meant: str = ""
    bare: str = ""

    def edit(self, word: str) -> Reword | None:
        """Return the edit that writes what is meant in the place of a word."""
        new = self.meant or self.bare
        return Reword(word, new) if new else None


def allowed(section: str, on: Release) -> frozenset[str]:
    """Return the fields that a release knows in a section below the top level."""
    return _allowed(section, on.hosted, on.strict)


@cache  # by words: a release takes longer to look up than a rule to read
def _allowed(section: str, hosted: bool, strict: bool) -> frozenset[str]:
    unknown = set[str]() if hosted else {*HOSTED_FIELDS.get(section, ())}
    unknown |= set() if strict else {"acceptEnv"}
    return frozenset(fields.fields(section)) - unknown


def of_field(section: str, key: str, beside: Iterable[str], on: Release) -> Advice:
    """Return what to say of a field that a release does not have in a section.

    `section` is "" for the top level; `beside` are all fields that stand there.
    """
    hosted = _spelled(key, HOSTED_FIELDS.get(section, ()))
    if hosted and not on.hosted:
        return Advice(HOSTED_FIELDS[section][hosted], ONLY_TAILSCALE, known=True)
    every = fields.fields(section)
    newer = _spelled(key, every)
    if newer in _NEWER:
        return _newer(newer, on)
    ours = [n for n in every if on.hosted or n not in HOSTED_FIELDS.get(section, ())]
    meant = nearest(key, ours, _SURE) or _synonym(key, ours) or nearest(key, ours)
    if not meant:
        return Advice(f"known here: {', '.join(ours)}")
    if _spelled(meant, beside):
        return Advice(f'"{meant}" stands here already: put the two together')
    return Advice(f'did you mean "{meant}"?', meant=meant)


def _spelled(key: str, names: Iterable[str]) -> str:
    """Return how a list of field names spells one, "" when it does not hold it."""
    return next((name for name in names if name.lower() == key.lower()), "")


def _synonym(key: str, known: Iterable[str]) -> str:
    found = (name for name in _SYNONYMS.get(key.lower(), ()) if name in known)
    return next(found, "")


def misnamed(section: str, name: str, keys: Iterable[str], on: Release) -> str:
    """Return the unknown field that stands for a known one: `users` for `src`.

    What it holds can be looked at as well then. "" when there is none, or when the
    release passes over it.
    """
    known = allowed(section, on)
    if on.ignores_unknown or known.issuperset(keys):
        return ""
    return next((k for k in keys if k not in known and _synonym(k, known) == name), "")


def _newer(word: str, on: Release) -> Advice:
    since, instead = _NEWER[word]
    why = f"Headscale {on.name} does not have it"
    return Advice(f"upgrade to {since} or newer, or {instead}", why, known=True)


Names = Mapping[str, Iterable[str]]


def of_selector(selector: Selector, on: Release, names: Names) -> Advice:
    """Return what to say of a selector that a release refuses wherever it stands.

    `names` are the declared names by kind: tag, group, host, and user for those that
    the policy mentions.
    """
    kind, text = selector.kind, selector.text
    role = nearest(selector.autogroup, ROLES, _SURE) if selector.autogroup else ""
    if role and not on.hosted:
        word = "shared" if role == "shared" else "role"
        return Advice(HOSTED_WORDS[word], ONLY_TAILSCALE, known=True)
    if text in _NEWER:
        return _newer(text, on)
    if kind in HOSTED_WORDS and not on.hosted:
        return Advice(HOSTED_WORDS[kind], ONLY_TAILSCALE, known=True)
    autogroups = [f"autogroup:{name}" for name in on.autogroups]
    every = {**names, "autogroup": autogroups}
    if bare := _without_ports(text, every):
        told = f'write "{bare}": ports stand only in dst of acls, and in tests'
        return Advice(told, bare=bare)
    meant = _meant(selector, every)
    rest = _fallback(kind, text, sorted(autogroups))
    if not meant:
        return Advice(rest)
    return Advice(f'did you mean "{meant}"?', meant=meant)


def _without_ports(text: str, names: Names) -> str:
    """Return what stands before ports where none belong, "" for other texts."""
    name, ports = split_ports(text)
    known = name == "*" or any(name in of_kind for of_kind in names.values())
    try:
        sets.ports(ports)
    except ValueError:
        return ""
    return name if known else ""


def _meant(selector: Selector, names: Names) -> str:
    """Return the declared name that a text is most like, "" when it is like none.

    The same name behind another prefix, or none, wins: `srv` is `tag:srv`. Names are
    compared without their prefixes, which would make all of a kind alike.
    """
    start, _, bare = selector.text.rpartition(":")
    kinds = sorted(names, key=lambda kind: (kind != selector.kind, _ORDER.index(kind)))
    for kind in kinds:
        for name in names[kind]:
            if _bare(name).lower() == bare.lower():
                return name
    for kind in kinds if start not in names else kinds[:1]:
        by_bare = {_bare(name): name for name in names[kind]}
        found = nearest(bare, by_bare, _NEAR)
        if found and _letters(found) != _letters(bare):
            return by_bare[found]
    return ""


_ORDER = ("tag", "group", "host", "user", "autogroup")


def _bare(name: str) -> str:
    return name.rpartition(":")[2].partition("@")[0]


def _letters(name: str) -> str:
    """Return a name without digits: `db-1` is no misspelt `db-2`."""
    return "".join(c for c in name.lower() if not c.isdigit())


def _fallback(kind: str, text: str, autogroups: list[str]) -> str:
    sections = {"tag": "tagOwners", "group": "groups"}
    if kind in sections:
        return f'declare "{text}" in {sections[kind]}'
    if kind == "host":
        return f'declare "{text}" in hosts, or write "{text}@" for a user'
    if kind == "autogroup":
        return f"known: {', '.join(autogroups)}"
    return "use a user, group, tag, autogroup, host, address or *"
