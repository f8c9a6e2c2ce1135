"""Bad files: each gives the code, the place and the words that help, and no traceback.

`|` in an input marks the place that the finding must point at; it is taken out.
"""

import os
from datetime import UTC, datetime

import pytest

from reconcile.desired import read
from reconcile.errors import InputError
from reconcile.report.diagnostics import render

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = "mkey:" + "0" * 64
V = "version: 1\n"
POLICY = """{
  // who may use which tag
  "tagOwners": {"tag:router": ["group:admins"], "tag:storage": []},
  "groups": {"group:admins": ["alice@"]},
  "acls": [],
}
"""

# name: (text, code, part of the message, part of why or help)
FORM = {
    "empty file": ("|", "RC0022", "is empty", "version: 1"),
    "only comments": ("|# nothing\n", "RC0022", "is empty", "reconcile import"),
    "a list": ("|- a\n", "RC0007", "must be a map of sections, not a list", ""),
    "a text": ("|hello\n", "RC0007", "not text", ""),
    "no version": ("|users: {}\n", "RC0022", "no file says its version", "version: 1"),
    "another version": ("version: |2\n", "RC0008", "version must be 1, not a number", ""),
    "version as text": ('version: |"1"\n', "RC0008", "must be 1, not `1`", ""),
    "colon in a value": (V + "users: a|: b\n", "RC0004", "no key can be", "quotes"),
    "tab": (V + "users:\n|\talice: {}\n", "RC0004", "a tab is used", "spaces"),
    "unclosed list": (
        V + "removed: [node:a\nusers|: {}\n",
        "RC0004",
        "`,` or the closing `]`",
        "close the list",
    ),
    "unclosed quote": (V + "removed: |'a\n", "RC0004", "ends inside quotes", "close"),
    "at sign": (V + "removed: [|@a]\n", "RC0004", "cannot start with `@`", "quotes"),
    "wrong indentation": (V + "users:\n  a: {}\n |b: {}\n", "RC0004", "expected", "column"),
    "undefined alias": (V + "users: |*people\n", "RC0004", "no anchor", "&name"),
    "two documents": (V + "|---\nusers: {}\n", "RC0004", "more than one", "-f"),
    "custom tag": (V + "users: |!include a.yaml\n", "RC0021", "`!include`", ""),
    "binary tag": (V + "users: {al: {email: |!!binary aGk=}}\n", "RC0021", "!!binary", ""),
    "list as key": (V + "? |[a]\n: 1\n", "RC0021", "a key must be text", ""),
    "merge of text": (V + "users: {<<: |a}\n", "RC0021", "merges maps only", ""),
    "too deep": (V + "policy: " + "[" * 62 + "|[[\n", "RC0021", "more than 64", ""),
    "repeated key": (V + "users: {}\n|users: {}\n", "RC0020", "`users` is repeated", "merge"),
    "repeated node": (
        V + "nodes:\n  nas: {}\n  |nas: {}\n",
        "RC0020",
        "`nas` is repeated",
        "remove one",
    ),
    "null section": (V + "|users:\n", "RC0003", "users is null", "`users: {}`"),
    "null node": (V + "nodes:\n  |tv:\n", "RC0003", "nodes.tv is null", "`tv: {}`"),
    "null tags": (V + "nodes: {tv: {|tags: ~}}\n", "RC0003", "tags is null", "`tags: []`"),
    "null item": (V + "removed: [|null]\n", "RC0003", "removed[0] is null", "remove the"),
    "null in policy": (V + "policy: {|acls: null}\n", "RC0003", "policy.acls", "`acls: []`"),
    "unknown section": (V + "|user: {}\n", "RC0005", "`user` is not known", "`users`?"),
    "unknown field": (
        V + "nodes: {tv: {|tag: []}}\n",
        "RC0005",
        "`tag` is not known in nodes.tv",
        "`tags`?",
    ),
    "unknown match": (V + "nodes: {tv: {match: {|host: x}}}\n", "RC0005", "`host`", ""),
    "unknown policy key": (V + "policy: {|acl: []}\n", "RC0005", "`acl`", "`acls`?"),
    "later section": (V + "|keys: {}\n", "RC0006", "keys is not in this version", "later"),
    "later field": (
        V + "policy: {|files: [a.hujson]}\n",
        "RC0006",
        "policy.files is not in this version yet",
        "a policy in several files",
    ),
    "later near miss": (V + "|gaurds: {}\n", "RC0005", "`gaurds`", "`guards`?"),
    "tailscale": (
        V + "server: {type: |tailscale, url: https://x}\n",
        "RC0006",
        "`tailscale` is not in this version yet",
        "Tailscale",
    ),
    "dns on headscale": (V + "|dns: {}\n", "RC0301", "dns cannot be set", "configuration"),
    "users as list": (V + "users: |[alice]\n", "RC0007", "a map, not a list", ""),
    "tags as text": (
        V + "nodes: {tv: {tags: |tag:a}}\n",
        "RC0007",
        "must be a list, not text",
        "`tags: [tag:a]`",
    ),
    "no as false": (
        V + "nodes: {tv: {exit_node: |no}}\n",
        "RC0007",
        "must be true or false, not text",
        "`no` is text in this file; write false",
    ),
    "True": (V + "nodes: {tv: {exit_node: |True}}\n", "RC0007", "not text", "write true"),
    "number as text": (
        V + "users: {alice: {display_name: |12}}\n",
        "RC0007",
        "must be text, not a number",
        'write "12"',
    ),
    "boolean as text": (
        V + "users: {alice: {email: |true}}\n",
        "RC0007",
        "must be text, not true",
        'write "true"',
    ),
    "octal": (V + "nodes: {tv: {match: {id: |0x1F}}}\n", "RC0008", "`0x1F`", "a number"),
    "unknown mode": (
        V + "nodes: {tv: {routes: {approve: [], mode: |exat}}}\n",
        "RC0008",
        "must be exact or at-least, not `exat`",
        "`exact`?",
    ),
    "prune nodes": (V + "manage: {nodes: |prune}\n", "RC0008", "report or ignore", ""),
    "manage policy": (V + "manage: {policy: |off}\n", "RC0008", "must be exact", ""),
    "bad url": (V + "server: {url: |hs.example.com}\n", "RC0008", "is not possible", "https"),
    "no url": (V + "|server: {}\n", "RC0022", "server needs `url`", "url"),
    "literal key": (
        V + "server: {url: https://x, credentials: {api_key: |abcdefgh}}\n",
        "RC0026",
        "does not belong into this file",
        "env: HEADSCALE_API_KEY",
    ),
    "two credentials": (
        V + "server: {url: https://x, credentials: {api_key: |{env: A, file: b}}}\n",
        "RC0008",
        "exactly one of: env, file, command",
        "",
    ),
    "key anywhere": (
        V + "# |hskey-api-abcdefgh123\n",
        "RC0026",
        "holds a key of the control server",
        "revoke",
    ),
    "bad tag": (V + "nodes: {tv: {tags: [|storage]}}\n", "RC0008", "`storage`", "`tag:`"),
    "upper-case tag": (V + "nodes: {tv: {tags: [|tag:A]}}\n", "RC0008", "`tag:A`", "upper"),
    "bad removed": (V + "removed: [|laptop]\n", "RC0008", "`laptop`", "`node:NAME`"),
    "bad machine key": (V + "nodes: {tv: {match: {machine_key: |abc}}}\n", "RC0008", "`abc`",
                        "64 hexadecimal"),
    "empty match": (V + "nodes: {tv: {match: |{}}}\n", "RC0022", "match is empty", "id"),
    "rule without match": (V + "node_rules: [|{tags: []}]\n", "RC0022", "needs `match`", ""),
    "unset variable": (
        V + "users: {alice: {email: |\"${MAIL}\"}}\n",
        "RC0009",
        "the variable MAIL is not set",
        "${MAIL:-default}",
    ),
    "bad variable": (V + "users: {alice: {email: |\"${1}\"}}\n", "RC0009", "`${`", "$${"),
    "variable as boolean": (
        V + "nodes: {tv: {exit_node: |${YES}}}\n".replace("${YES}", '"${YES}"'),
        "RC0007",
        "must be true or false",
        "a variable always gives text",
    ),
    "servers and server": (
        V + "servers: {a: {url: https://x}}\n|server: {url: https://y}\n",
        "RC0028",
        "exclude each other",
        "under `servers`",
    ),
    "two servers": (
        V + "|servers: {a: {url: https://x}, b: {url: https://y}}\n",
        "RC0028",
        "describes 2 servers: a, b",
        "--server a",
    ),
    "overlay for nobody": (
        V + "servers: {lab: {url: https://x}}\noverlays: {|lap: {}}\n",
        "RC0028",
        "no server is called `lap`",
        "`lab`?",
    ),
    "overlay alone": (V + "|overlays: {a: {}}\n", "RC0028", "need `servers`", ""),
    "server named all": (V + "servers: {|all: {url: https://x}}\n", "RC0008", "`all`", ""),
    "include nothing": (V + "include: [|teams/*.yaml]\n", "RC0024", "matches no file", ""),
    "include missing": (V + "include: [|tems.yaml]\n", "RC0001", "no such file", "teams.yaml"),
    "include itself": (V + "include: [|tailnet.yaml]\n", "RC0024", "includes itself", ""),
}  # fmt: skip

MEANING = {
    "unknown tag": (
        V + "policy: {file: policy.hujson}\nnodes: {tv: {match: {machine_key: KEY}, "
        "tags: [|tag:routr]}}\n",
        "RC0107",
        "tag:routr has no tagOwners entry",
        "tagOwners in",
    ),
    "bad user name": (V + "users: {|Alice: {}}\n", "RC0112", "`Alice`", "`was: Alice`"),
    "short user name": (V + "users: {|a: {}}\n", "RC0112", "not a safe user name", ""),
    "was itself": (V + "users: {alice: {was: |alice}}\n", "RC0104", "no rename", ""),
    "was another entry": (
        V + "users: {alice: {}, robert: {was: |alice}}\n",
        "RC0104",
        "`alice` is still wanted",
        "remove `was`",
    ),
    "was twice": (
        V + "users: {bob: {was: old}, rob: {was: |old}}\n",
        "RC0104",
        "two users were called `old`",
        "one name",
    ),
    "until no day": (V + "users: {eve: {until: |soon}}\n", "RC0114", "`soon`", "2030-12-31"),
    "until impossible": (V + "users: {eve: {until: |2026-02-30}}\n", "RC0114", "02-30", ""),
    "wanted and removed": (
        V + "users: {bob: {}}\nremoved: [|user:bob]\n",
        "RC0103",
        "user:bob is both wanted and removed",
        "remove this line",
    ),
    "node wanted and removed": (
        V + "nodes: {tv: {}}\nremoved: [|node:tv]\n",
        "RC0103",
        "node:tv is both",
        "",
    ),
    "renamed and removed": (
        V + "users: {robert: {was: bob}}\nremoved: [|user:bob]\n",
        "RC0103",
        "both renamed and removed",
        "lives on as robert",
    ),
    "same match": (
        V + "nodes: {aa: {match: {id: 1}}, bb: {|match: {id: 1}}}\n",
        "RC0201",
        "node:bb and node:aa match the same node",
        "narrow",
    ),
    "not a route": (
        V + "nodes: {tv: {routes: {approve: [|lan]}}}\n",
        "RC0109",
        "`lan` is not a network",
        "192.168.10.0/24",
    ),
    "bare address": (
        V + "nodes: {tv: {routes: {approve: [|10.0.0.1]}}}\n",
        "RC0109",
        "not a network",
        "10.0.0.1/32",
    ),
    "netmask": (
        V + "nodes: {tv: {routes: {approve: [|10.0.0.0/255.0.0.0]}}}\n",
        "RC0109",
        "not a network",
        "length",
    ),
    "prefix too long": (
        V + "nodes: {tv: {routes: {approve: [|10.0.0.0/33]}}}\n", "RC0109", "/33", "",
    ),
    "exit route, no exit node": (
        V + "nodes: {tv: {exit_node: false, routes: {approve: |[0.0.0.0/0]}}}\n",
        "RC0111",
        "exit_node is false",
        "exit_node: true",
    ),
    "bad expiry": (V + "nodes: {tv: {expiry: |tomorrow}}\n", "RC0114", "`tomorrow`", "never"),
    "expiry near miss": (V + "nodes: {tv: {expiry: |Never}}\n", "RC0114", "Never", "never?"),
    "no time zone": (
        V + "nodes: {tv: {expiry: |2030-01-01T00:00:00}}\n",
        "RC0114",
        "no time",
        "2030-01-01T00:00:00Z",
    ),
    "unsafe node name": (
        V + "nodes: {|My.TV: {match: {id: 1}}}\n",
        "RC0113",
        "`My.TV` is not a safe node name",
        "lower-case",
    ),
    "user and tags": (
        V + "nodes: {tv: {|match: {user: alice}, tags: [tag:a]}}\n",
        "RC0208",
        "the match of node:tv stops matching",
        "machine_key",
    ),
    "match by the old name": (
        V + "nodes: {tv: {|match: {name: old-tv}}}\n",
        "RC0208",
        "stops matching",
        "renamed from `old-tv`",
    ),
    "match by a dropped tag": (
        V + "nodes: {tv: {|match: {tag: tag:a}, tags: [tag:b]}}\n",
        "RC0208",
        "stops matching",
        "add tag:a to its tags",
    ),
    "pattern in an entry": (
        V + 'nodes: {tv: {match: {hostname: |"tv-*"}}}\n',
        "RC0202",
        "is a pattern",
        "node_rules",
    ),
    "address with prefix": (
        V + "nodes: {tv: {match: {ip: |100.64.0.1/32}}}\n",
        "RC0202",
        "is not an address",
        "without a prefix",
    ),
    "policy names a removed user": (
        V + "users: {}\nremoved: [user:alice]\npolicy: {groups: {'group:a': [|alice@]}, "
        "acls: []}\n",
        "RC0102",
        "`alice@`, who is being removed",
        "from the policy too",
    ),
    "policy names an expired user": (
        V + "users: {alice: {until: 2026-11-21}}\n"
        "policy: {groups: {'group:a': [|alice@]}, acls: []}\n",
        "RC0102",
        "who is being removed",
        "",
    ),
    "policy missing": (V + "policy: {file: |polcy.hujson}\n", "RC0001", "no such file",
                       "policy.hujson"),
    "policy is a folder": (V + "policy: {file: |.}\n", "RC0001", "it is a folder", ""),
}  # fmt: skip

WARNINGS = {
    "policy names nobody": (
        V + "users: {robert: {}}\npolicy: {groups: {'group:a': [|robet@]}, acls: []}\n",
        "RC0101",
        "`users` does not have that user",
        "`robert@`?",
    ),
    "policy names the old name": (
        V + "users: {robert: {was: bob}}\n"
        "policy: {groups: {'group:a': [|bob@]}, acls: []}\n",
        "RC0101",
        "`bob@`",
        "write robert@",
    ),
    "policy allows everything": (
        V + "policy: |{groups: {}}\n",
        "RC0116",
        "allows everything",
        '"acls": []',
    ),
    "expired": (
        V + "nodes: {tv: {expiry: |2026-11-22}}\n",
        "RC0115",
        "in the past",
        "",
    ),
    "route twice": (
        V + "nodes: {tv: {match: {machine_key: KEY}, routes: {approve: [10.0.0.0/8, "
        "|10.0.0.0/8]}}}\n",
        "RC0108",
        "10.0.0.0/8 is listed twice",
        "",
    ),
    "host bits": (
        V + "nodes: {tv: {match: {machine_key: KEY}, routes: {approve: "
        "[|10.2.0.5/24]}}}\n",
        "RC0110",
        "bits set beyond its prefix",
        "write 10.2.0.0/24",
    ),
    "spoofable": (
        V + "nodes: {nas: {|match: {hostname: nas}, tags: [tag:storage]}}\n",
        "RC0207",
        "node:nas is matched by hostname only, and gets tag:storage",
        "add preauth_key or machine_key",
    ),
    "spoofable by default": (
        V + "nodes: {|nas: {exit_node: true}}\n",
        "RC0207",
        "matched by name only, and gets the exit node",
        "add user, preauth_key or machine_key",
    ),
    "spoofable rule": (
        V + "node_rules: [{|match: {hostname: 'k8s-*'}, tags: [tag:k8s]}]\n",
        "RC0207",
        "node_rules[0] is matched by hostname only",
        "`k8s-*`",
    ),
    "match of a near user": (
        V + "users: {alice: {}}\nnodes: {tv: {|match: {user: alise}}}\n",
        "RC0106",
        "`alise`",
        "`alice`?",
    ),
    "byte order mark": ("|\ufeff" + V, "RC0027", "byte order mark", "ignored"),
}


def split(marked: str) -> tuple[str, int, int]:
    """Return the text without its mark, and the line and column of the mark."""
    before, _, after = marked.replace(
        "machine_key: KEY", f"machine_key: {KEY}"
    ).partition("|")
    return before + after, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.hujson").write_text(POLICY)
    (tmp_path / "teams.yaml").write_text("users: {}\n")
    return tmp_path


def findings_of(text: str | bytes, **options):
    data = text.encode() if isinstance(text, str) else text
    with open("tailnet.yaml", "wb") as handle:
        handle.write(data)
    environ = {"YES": "true"}
    try:
        states = read(["tailnet.yaml"], environ=environ, now=NOW, **options)
    except InputError as error:
        return error.diagnostics
    return states[0].warnings


def check(case, severity):
    marked, code, message, help = case
    text, line, column = split(marked)
    found = findings_of(text)
    assert [f.code for f in found] == [code], [str(f) for f in found]
    (finding,) = found
    assert finding.severity == severity
    assert message in finding.message
    assert help in f"{finding.why} {finding.help} {finding.label}"
    place = finding.position
    assert (place.file, place.line, place.column) == ("tailnet.yaml", line, column)
    assert code in render(found)


@pytest.mark.parametrize("name", FORM)
def test_form(name):
    check(FORM[name], "error")


@pytest.mark.parametrize("name", MEANING)
def test_meaning(name):
    check(MEANING[name], "error")


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name):
    check(WARNINGS[name], "warning")


BYTES = {
    "utf-16": ("version: 1\n".encode("utf-16"), 1, 1, "UTF-16", "UTF-8"),
    "utf-16 without mark": ("version: 1\n".encode("utf-16-le"), 1, 1, "UTF-16", ""),
    "utf-32": (b"\x00\x00\xfe\xff" + "v".encode("utf-32-be"), 1, 1, "UTF-32", ""),
    "latin-1": (
        b"version: 1\nusers: {eve: {display_name: \xc9ve}}\n",
        2,
        29,
        "byte 0xc9 at offset 39",
        "save the file again as UTF-8",
    ),
    "cut in a character": (b"# \xc3", 1, 3, "byte 0xc3 at offset 2", ""),
    "nul": (b"version: 1\nusers: \x00\n", 2, 8, "a NUL byte", "remove it"),
    "escape": (b"version: 1\n# \x1b[31m\n", 2, 3, "U+001B", ""),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), 1, 1, "not UTF-8", ""),
}


@pytest.mark.parametrize("name", BYTES)
def test_encodings(name):
    data, line, column, message, help = BYTES[name]
    (finding,) = findings_of(data)
    assert finding.code == "RC0002"
    assert (finding.position.line, finding.position.column) == (line, column)
    assert message in finding.message
    assert help in finding.help


POLICIES = {
    "syntax": (b'{\n  "acls": [,]\n}\n', "RC0010", (2, 12)),
    "empty": (b"", "RC0014", (1, 1)),
    "a list": (b"[]\n", "RC0007", (1, 1)),
    "byte order mark": (b"\xef\xbb\xbf{}\n", "RC0027", (1, 1)),
    "latin-1": (b'{\n  "x\xe9": 1}\n', "RC0002", (2, 5)),
    "utf-16": ("{}".encode("utf-16"), "RC0002", (1, 1)),
    "no final line break": (b'{"acls": []} // end', "RC0013", (1, 14)),
    "repeated name": (b'{"acls": [], "acls": []}\n', "RC0011", (1, 14)),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policy_files(name, folder):
    data, code, place = POLICIES[name]
    (folder / "policy.hujson").write_bytes(data)
    (finding,) = findings_of(V + "policy: {file: policy.hujson}\n")
    assert finding.code == code
    assert finding.position.file == "policy.hujson"
    assert (finding.position.line, finding.position.column) == place


def test_a_folder_without_files(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"the folder empty holds no \.yaml file"):
        read(["empty"], environ={})


def test_a_missing_file_proposes_its_neighbour(folder):
    with pytest.raises(InputError) as caught:
        read(["team.yaml"], environ={})
    (finding,) = caught.value.diagnostics
    assert "there is no such file" in finding.message
    assert finding.help == "did you mean teams.yaml?"
    assert str(finding.position) == "team.yaml:1:1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder):
    (folder / "secret.yaml").write_text(V)
    (folder / "secret.yaml").chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read(["secret.yaml"], environ={})


def test_permission_denied_is_told(monkeypatch):
    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError) as caught:
        read(["policy.hujson"], environ={})
    (finding,) = caught.value.diagnostics
    assert finding.message == "cannot read policy.hujson: permission denied"
    assert finding.help == "make it readable: chmod u+r policy.hujson"


def test_a_device_is_not_read():
    with pytest.raises(InputError, match="it is a device, not a file"):
        read(["/dev/zero"], environ={})


@pytest.mark.parametrize(
    "garbage",
    [b"x" * 10_000_000, b"[" * 10_000_000, b"a: " * 3_000_000, b"- " * 5_000_000],
    ids=["letters", "brackets", "colons", "dashes"],
)
def test_ten_megabytes_of_garbage(garbage):
    found = findings_of(garbage)
    assert found
    assert len(render(found)) < 2_000


def test_an_alias_bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 30):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    (finding,) = findings_of("\n".join(lines))
    assert finding.code == "RC0021"
    assert "too large" in finding.message


def test_an_alias_inside_itself():
    (finding,) = findings_of(V + "policy: &a {acls: [*a]}\n")
    assert finding.code == "RC0021"


def test_everything_is_reported_in_one_run_in_the_order_of_lines(folder):
    (folder / "policy.hujson").write_text('{"acls": [}')
    found = findings_of(
        "version: 2\nuser: {}\nnodes:\n  tv: {tags: tag:a, exit_node: no}\n"
        "  My.TV: {match: {id: 1}}\nremoved:\npolicy: {file: policy.hujson}\n"
    )
    codes = [f.code for f in found if f.position.file == "tailnet.yaml"]
    assert codes == ["RC0008", "RC0005", "RC0007", "RC0007", "RC0113", "RC0003"]
    assert any(f.position.file == "policy.hujson" for f in found)


def test_one_mistake_does_not_hide_the_rest_of_its_entry():
    found = findings_of(
        V + "nodes:\n  nas:\n    tags: [tag:A]\n    routes: {approve: [10.0.0.1]}\n"
    )
    assert [f.code for f in found] == ["RC0008", "RC0109"]


def test_secrets_are_in_no_message():
    secret = "hskey-api-0123456789abcdef"
    found = findings_of(
        V + f"server: {{url: https://x, credentials: {{api_key: {secret}}}}}\n"
        f"users: {{alice: {{emial: {secret}}}}}\n"
        "nodes: {tv: {tags: ['${TOKEN}']}}\n"
    )
    for format in ("text", "json", "github", "gitlab", "sarif"):
        assert secret not in render(found, format)


def test_the_value_of_a_variable_is_in_no_message(monkeypatch):
    with open("tailnet.yaml", "w") as handle:
        handle.write(
            V + "server: {url: '${TOKEN}'}\n"
            "users: {'${TOKEN}': {until: '${TOKEN}'}}\n"
            "nodes: {tv: {tags: ['${TOKEN}'], expiry: '${TOKEN}', "
            "routes: {approve: ['${TOKEN}'], mode: '${TOKEN}'}, "
            "match: {ip: '${TOKEN}', hostname: '*${TOKEN}'}}}\n"
        )
    with pytest.raises(InputError) as caught:
        read(["tailnet.yaml"], environ={"TOKEN": "S3CRET value"})
    assert len(caught.value.diagnostics) >= 7
    for format in ("text", "json", "github", "gitlab", "sarif"):
        assert "S3CRET" not in render(caught.value.diagnostics, format)


def test_a_variable_of_the_server_matters_only_to_who_connects():
    text = V + "server: {url: '${HEADSCALE_URL}'}\n"
    (finding,) = findings_of(text)
    assert finding.code == "RC0009"
    assert findings_of(text, offline=True) == ()
