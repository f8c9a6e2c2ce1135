"""Mistakes that a policy may hold: each changes a valid policy in one place."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.contract.policies.generator import AMBIGUOUS, Generator, Policy

Mistake = Callable[[Generator, Policy], None]


def policies(release: str, seed: object) -> Iterator[Policy]:
    """Yield random policies without end; every fourth has a mistake or an oddity."""
    generator = Generator(release, seed)
    while True:
        value = generator.policy()
        if generator.chance(0.25):
            generator.one(MISTAKES)(generator, value)
        yield value


def _rule(section: str, **fields: Any) -> Mistake:
    """Return a mistake that overwrites fields of a rule; None takes one away."""

    def make(generator: Generator, value: Policy) -> None:
        rules = value.setdefault(section, [])
        if not rules:
            writer = {"acls": generator.acl, "grants": generator.grant}
            writer |= {"ssh": generator.ssh, "nodeAttrs": generator.attribution}
            rules.append(writer[section]())
        rule = generator.one(rules)
        for name, field in fields.items():
            rule[name] = field
            if field is None:
                del rule[name]

    return make


def _entry(section: str, **fields: Any) -> Mistake:
    """Return a mistake that adds an entry to a list section."""

    def make(generator: Generator, value: Policy) -> None:
        value.setdefault(section, []).append(fields)

    return make


def _member(section: str, name: str, field: Any) -> Mistake:
    """Return a mistake that sets a member of an object section."""

    def make(generator: Generator, value: Policy) -> None:
        value.setdefault(section, {})[name] = field

    return make


def _whole(section: str, field: Any) -> Mistake:
    def make(generator: Generator, value: Policy) -> None:
        value[section] = field

    return make


def _selector(text: str) -> tuple[Mistake, ...]:
    """Return mistakes that put one selector wherever a selector may stand."""
    return (
        _rule("acls", src=[text]),
        _rule("acls", dst=[f"{text}:80"], proto="tcp"),
        _rule("ssh", src=[text]),
        _rule("ssh", dst=[text]),
        _rule("grants", src=[text]),
        _rule("grants", dst=[text]),
        _rule("nodeAttrs", target=[text]),
        _member("tagOwners", "tag:web", [text]),
        _member("autoApprovers", "exitNode", [text]),
        _member("autoApprovers", "routes", {"10.0.0.0/8": [text]}),
    )


SELECTORS = (
    "tag:unknown",
    "group:unknown",
    "host-unknown",
    "alice",
    "autogroup:self",
    "autogroup:member",
    "autogroup:tagged",
    "autogroup:internet",
    "autogroup:danger-all",
    "autogroup:nonroot",
    "autogroup:admin",
    "autogroup:nonsense",
    "ipset:office",
    "svc:web",
    "user:*@example.com",
    "nobody@",
    AMBIGUOUS,
    "server4",
    "100.64.0.1",
    "10.0.0.0/8",
    "*",
    "",
    " tag:web ",
    "tag:WEB",
    "group:empty",
    "0.0.0.0/0",
    "::/0",
    "300.1.2.3",
    "fd7a::zz",
    "10.0.0.0/33",
)

MISTAKES: tuple[Mistake, ...] = (
    *(mistake for text in SELECTORS for mistake in _selector(text)),
    # Ports and protocols.
    *(
        _rule("acls", dst=[text], proto="tcp")
        for text in (
            "*",
            "*:",
            "tag:web",
            "tag:web:",
            "tag:web:0",
            "tag:web:ssh",
            "tag:web:70000",
            "tag:web:100-50",
            "tag:web:1-70000",
            "tag:web:80, 443",
            "tag:web:80,,443",
            "tag:web: 80",
            "tag:web:-5",
            "tag:web:5-",
            "tag:web:1--5",
            "tag:web:+80",
            "tag:web:0-100",
            "tag:web:0-65535",
            "tag:web:080",
            " tag:web:80",
            "tag:web :80",
            "tag:web:80 ",
            "[fd7a:115c:a1e0::9]:80",
            "[fd7a:115c:a1e0::]/64:80",
            "[fd7a:115c:a1e0::/64]:80",
            "[100.64.0.9]:80",
            "fd7a:115c:a1e0::9:80",
            "100.64.0.9",
            "autogroup:self",
        )
    ),
    *(
        _rule("acls", proto=text)
        for text in ("*", "nosuch", "300", "256", "255", "06", "0", "-1", " tcp ", "")
    ),
    *(_rule("acls", proto=number, dst=["tag:web:*"]) for number in (6, 47, 300, 6.5)),
    *(
        _rule("acls", proto=text, dst=["tag:web:22"])
        for text in ("icmp", "gre", "1", "6", "17", "132", "fc", "133", "ipv6-icmp")
    ),
    *(_rule("acls", proto=text, dst=["tag:web:*"]) for text in ("fc", "egp", "igp")),
    *(_rule("acls", proto=text, dst=["tag:web:*"]) for text in ("ipv4", "ipv6-icmp")),
    # Actions, shapes and fields.
    *(_rule("acls", action=text) for text in ("deny", "Accept", "", None, " accept")),
    _rule("acls", src=None),
    _rule("acls", dst=None),
    _rule("acls", src=[]),
    _rule("acls", dst=[]),
    _rule("acls", src="alice@"),
    _rule("acls", dst="*:*"),
    _rule("acls", src=[5]),
    _rule("acls", ports=["80"]),
    _rule("acls", srcPosture=["posture:any"]),
    _rule("acls", **{"#note": "allowed"}),
    _rule("acls", SRC=["tag:web"]),
    _whole("acls", {}),
    _whole("acls", None),
    _whole("acls", []),
    _whole("acls", "*"),
    _whole("groups", []),
    _whole("groups", None),
    _whole("hosts", []),
    _whole("tagOwners", None),
    _whole("tagOwners", []),
    _whole("ssh", {}),
    _whole("ssh", None),
    _whole("unknownSection", 1),
    _whole("ipsets", {}),
    _whole("postures", {}),
    _whole("derpMap", {}),
    _whole("disableIPv4", True),
    _whole("ACLs", []),
    _whole("Hosts", {"one": "100.64.0.1"}),
    _whole("randomizeClientPort", "yes"),
    _whole("randomizeClientPort", True),
    # Declarations.
    _member("groups", "ops", ["alice@"]),
    _member("groups", "group:outer", ["group:ops"]),
    _member("groups", "group:outer", ["alice"]),
    _member("groups", "group:outer", ["tag:web"]),
    _member("groups", "group:outer", ["autogroup:member"]),
    _member("groups", "group:outer", "alice@"),
    _member("groups", "group:outer", None),
    _member("groups", "group:outer", [5]),
    _member("groups", "group:outer", [" alice@ "]),
    _member("groups", "group:outer", [AMBIGUOUS]),
    _member("groups", "group:ops", [" alice@ "]),
    _member("groups", "group:ops", ["user:*@example.com"]),
    _member("groups", "group:", ["alice@"]),
    _member("groups", "group:Big Team", ["alice@"]),
    _member("hosts", "bad", "not-an-address"),
    _member("hosts", "bad", "10.0.0.0/33"),
    _member("hosts", "bad", 5),
    _member("hosts", "bad", ""),
    _member("hosts", "tag:web", "10.0.0.1"),
    _member("hosts", "a:b", "10.0.0.1"),
    _member("hosts", "with@at", "10.0.0.1"),
    _member("hosts", "wide", "10.1.2.3/8"),
    _member("hosts", "padded", " 10.0.0.1 "),
    _member("tagOwners", "web", ["alice@"]),
    _member("tagOwners", "tag:9", ["alice@"]),
    _member("tagOwners", "tag:", ["alice@"]),
    _member("tagOwners", "tag:-x", []),
    _member("tagOwners", "tag:UPPER", ["alice@"]),
    _member("tagOwners", "tag:äh", []),
    _member("tagOwners", "tag:web", ["tag:db"]),
    _member("tagOwners", "tag:web", ["tag:web"]),
    _member("tagOwners", "tag:web", "alice@"),
    _member("tagOwners", "tag:web", None),
    _member("autoApprovers", "routes", {"10.0.0.0/8": ["tag:unknown"]}),
    _member("autoApprovers", "routes", {"10.0.0.0": ["alice@"]}),
    _member("autoApprovers", "routes", {"nonsense": ["alice@"]}),
    _member("autoApprovers", "routes", {"10.0.0.1/8": ["alice@"]}),
    _member("autoApprovers", "routes", {"10.0.0.0/8": "alice@"}),
    _member("autoApprovers", "exitnode", ["alice@"]),
    _member("autoApprovers", "services", {}),
    _whole("autoApprovers", []),
    # SSH.
    *(_rule("ssh", action=text) for text in ("Accept", "deny", "", None, " check ")),
    *(
        _rule("ssh", users=users)
        for users in (None, [], [""], ["*"], [" root "], ["group:ops"], "root", [5])
    ),
    *(
        _rule("ssh", action="check", checkPeriod=text)
        for text in (
            "abc",
            "200h",
            "-1m",
            "0s",
            "always",
            "1d",
            "1d12h",
            "",
            "1h30",
            "168h0m1s",
            "2w",
            "1.5h",
            "12",
            "1h 30m",
            None,
            5,
        )
    ),
    _rule("ssh", action="accept", checkPeriod="1h"),
    _rule("ssh", acceptEnv=[""]),
    _rule("ssh", acceptEnv=["LANG"]),
    _rule("ssh", srcPosture=["posture:any"]),
    _rule("ssh", src=["tag:web"], dst=["autogroup:member"]),
    _rule("ssh", src=["tag:web"], dst=["alice@"]),
    _rule("ssh", src=["autogroup:tagged"], dst=["autogroup:self"]),
    _rule("ssh", src=["alice@"], dst=["bob@"]),
    _rule("ssh", src=["alice@", "bob@"], dst=["alice@"]),
    _rule("ssh", src=["alice@", " alice@"], dst=["alice@"]),
    _rule("ssh", src=["group:ops"], dst=["alice@"]),
    _rule("ssh", src=["alice@example.com"], dst=["alice@"]),
    _rule("ssh", src=[], dst=[]),
    _rule("ssh", src=None),
    _rule("ssh", users=["localpart:*@example.com"]),
    _rule("ssh", users=["localpart:*@"]),
    _rule("ssh", users=["localpart:*"]),
    _rule("ssh", users=["localpart:", "localpart:*@a@b"]),
    # Grants.
    *(
        _rule("grants", ip=[text])
        for text in (
            "icmp",
            "tcp",
            "tcp:",
            ":80",
            "0",
            "70000",
            "5-1",
            "a:b:c",
            "nosuch:*",
        )
    ),
    *(
        _rule("grants", ip=[text])
        for text in ("*:*", "tcp:*", "icmp:80", "1:*", " 80 ")
    ),
    _rule("grants", ip=[]),
    _rule("grants", ip=[], app={}),
    _rule("grants", ip=None, app=None),
    _rule("grants", ip=[80]),
    _rule("grants", ip="80"),
    *(
        _rule("grants", app={name: []})
        for name in (
            "nodomain",
            "https://example.com/cap/x",
            "tailscale.com/cap/nosuch",
            "tailscale.com/",
            "example.com/",
            "/cap",
            "example/cap",
            "EXAMPLE.com/Cap",
        )
    ),
    _rule("grants", app={"example.com/cap/x": {}}),
    _rule("grants", app={"example.com/cap/x": None}),
    _rule("grants", app={"example.com/cap/x": [1, "a", None]}),
    _rule("grants", app={"example.com/cap/x": []}, dst=["autogroup:internet"]),
    _rule("grants", via=["alice@"]),
    _rule("grants", via=["tag:unknown"]),
    _rule("grants", via=[]),
    _rule("grants", via="tag:web"),
    _rule("grants", src=["*"], dst=["autogroup:self"]),
    _rule("grants", src=["tag:web"], dst=["autogroup:self"]),
    _rule("grants", src=["alice@", "server4"], dst=["autogroup:self"]),
    _rule("acls", src=["alice@", "server4"], dst=["autogroup:self:*"], proto="tcp"),
    _rule("acls", src=["autogroup:tagged"], dst=["autogroup:self:*"], proto="tcp"),
    _rule("grants", dst=["tag:web:80"]),
    _rule("grants", src=None),
    _rule("grants", dst=[]),
    _rule("grants", srcPosture=["posture:any"]),
    _rule("grants", action="accept"),
    _whole("grants", {}),
    _whole("grants", None),
    # Node attributes.
    _rule("nodeAttrs", attr=["funnel"]),
    _rule("nodeAttrs", ipPool=["100.80.0.0/16"]),
    _rule("nodeAttrs", ipPool=[]),
    _rule("nodeAttrs", app={"example.com/x": []}),
    _rule("nodeAttrs", attr=None),
    _rule("nodeAttrs", target=None),
    _rule("nodeAttrs", attr=[""]),
    # Tests.
    *(
        _entry("tests", src="alice@", accept=[text])
        for text in (
            "tag:web",
            "tag:web:22,80",
            "tag:web:*",
            "tag:web:0",
            "tag:idle:80",
            "tag:unknown:80",
            "10.0.0.0/8:80",
            "100.64.0.9/32:80",
            "lan:80",
            "autogroup:internet:443",
            "autogroup:self:80",
            "autogroup:member:80",
            "nobody@:80",
            "*:80",
            "tag:web:80-80",
            "tag:web:+80",
            "tag:web:80 ",
            " tag:web:80",
            "[100.64.0.9]:80",
            "autogroup:danger-all:80",
        )
    ),
    *(
        _entry("tests", src="alice@", deny=[text])
        for text in (
            "tag:idle:80",
            "lan:80",
            "nobody@:80",
            "tag:web:99",
            "stray:80",
            "autogroup:admin:80",
            "user:*@example.com:80",
            "svc:web:80",
        )
    ),
    *(
        _entry("tests", src=text, deny=["tag:web:99"])
        for text in (
            "",
            "nobody@",
            "tag:idle",
            "group:empty",
            "autogroup:member",
            "autogroup:admin",
            "user:*@example.com",
            "ipset:office",
            " alice@",
            "pair",
            "*",
        )
    ),
    _entry("tests", src="alice@", proto=6, deny=["tag:web:99"]),
    _entry("tests", src="alice@", proto=None, deny=["tag:web:99"]),
    _entry("tests", src="alice@", proto=" tcp", deny=["tag:web:99"]),
    _entry("tests", src="alice@"),
    _entry("tests", deny=["tag:web:99"]),
    _entry("tests", src="alice@", accept=[], deny=[]),
    _entry("tests", src="alice@", proto="icmp", deny=["tag:web:99"]),
    _entry("tests", src="alice@", proto="TCP", deny=["tag:web:99"]),
    _entry("tests", src="alice@", deny=["tag:web:99"], extra=1),
    _entry("tests", src=AMBIGUOUS, deny=["tag:web:99"]),
    # SSH tests.
    *(
        _entry("sshTests", src="alice@", dst=[text], deny=["root"])
        for text in (
            "tag:web",
            "tag:unknown",
            "tag:idle",
            "tag:web:22",
            "10.0.0.0/8",
            "100.64.0.9",
            "fd7a:115c:a1e0::9",
            "lan",
            "autogroup:internet",
            "autogroup:self",
            "autogroup:member",
            "autogroup:tagged",
            "group:ops",
            "nobody@",
            "*",
            "",
            "host-unknown",
            "pair",
            "100.64.0.9/32",
            "autogroup:admin",
            "user:*@example.com",
        )
    ),
    *(
        _entry("sshTests", src=text, dst=["tag:web"], deny=["root"])
        for text in (
            "",
            "nobody@",
            "tag:idle",
            "closet",
            "autogroup:tagged",
            "autogroup:admin",
            "user:*@example.com",
            "100.64.0.0/30",
        )
    ),
    _entry("sshTests", src="100.64.0.0/30", dst=["tag:web"], accept=["root"]),
    _entry("sshTests", src="alice@", dst=["tag:web"], accept=[" root "]),
    _entry("sshTests", src="alice@", dst=["tag:web"]),
    _entry("sshTests", src="alice@", dst=[], deny=["root"]),
    _entry("sshTests", src="alice@", dst=["tag:web"], deny=[""]),
    _entry("sshTests", src="tag:web", dst=["autogroup:self"], deny=["root"]),
    _entry("sshTests", dst=["tag:web"], deny=["root"]),
)
