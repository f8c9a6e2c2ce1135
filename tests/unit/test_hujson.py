"""HuJSON: the value, the positions, and every refusal with its place and remedy."""

import time

import pytest

from reconcile.errors import InputError
from reconcile.source.hujson import Document, parse, standardize

POLICY = """\
// who may do what
{
\t"groups": {"group:a": ["alice@", "b\\u00f6b@",],}, /* one
  more */ "acls": [
    {"action": "accept", "src": ["*"], "dst": ["*:*"],}, // open
  ],
}
"""


def refused(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(InputError) as caught:
        parse(text, "p.hujson")
    findings = caught.value.diagnostics
    assert all(finding.help for finding in findings)
    places = [(finding.code, finding.position) for finding in findings]
    return [(code, at.line, at.column) for code, at in places if at]


def test_value() -> None:
    assert parse(POLICY).value == {
        "groups": {"group:a": ["alice@", "böb@"]},
        "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
    }


def test_standardized_text_keeps_length_and_lines() -> None:
    plain = standardize(POLICY)
    assert len(plain) == len(POLICY)
    assert plain.count("\n") == POLICY.count("\n")
    assert "//" not in plain


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, (2, 1, 1)),
        (("groups",), True, (3, 2, 8)),
        (("groups", "group:a"), True, (3, 13, 9)),
        (("groups", "group:a", 1), False, (3, 35, 11)),
        (("acls",), True, (4, 11, 6)),
        (("acls", 0, "dst", 0), False, (5, 48, 5)),
    ],
)
def test_locate(
    path: tuple[str | int, ...], key: bool, place: tuple[int, int, int]
) -> None:
    found = parse(POLICY).locate(path, key=key)
    assert (found.line, found.column, found.length) == place
    assert found.text == POLICY.split("\n")[found.line - 1]


def test_locate_counts_characters_after_crlf_and_emoji() -> None:
    document = parse('{\r\n "😀\\ud83d\\ude00": "é", "b": 1\r\n}')
    assert document.value == {"😀😀": "é", "b": 1}
    found = document.locate(("b",), key=True)
    assert (found.line, found.column) == (2, 24)
    assert found.text == ' "😀\\ud83d\\ude00": "é", "b": 1'


@pytest.mark.parametrize("path", [("x",), ("acls", 1), ("acls", -1), ("acls", "x")])
def test_locate_of_nothing(path: tuple[str | int, ...]) -> None:
    with pytest.raises(KeyError):
        parse(POLICY).locate(path)


def test_list_items_have_no_name() -> None:
    with pytest.raises(KeyError):
        parse(POLICY).locate(("acls", 0), key=True)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("[,]", [("RC0010", 1, 2)]),
        ("[1,,2]", [("RC0010", 1, 4)]),
        ("[1,,]", [("RC0010", 1, 4)]),
        ("{,}", [("RC0010", 1, 2)]),
        ('{"a":,}', [("RC0010", 1, 6)]),
        ('{"a":}', [("RC0010", 1, 6)]),
        ('{"a"}', [("RC0010", 1, 5)]),
        ('{"a" 1}', [("RC0010", 1, 4)]),
        ('{"a":1 "b":2}', [("RC0010", 1, 6)]),
        ("[1 2]", [("RC0010", 1, 2)]),
        ('{"a":[1,2}', [("RC0010", 1, 10)]),
        ("[1", [("RC0010", 1, 1)]),
        ('{"a":1}}', [("RC0010", 1, 8)]),
        ('{"a":1;}', [("RC0010", 1, 7)]),
        ("{1: 2}", [("RC0010", 1, 2)]),
        ("[:]", [("RC0010", 1, 2)]),
        ('{"a":1,"a":2}', [("RC0011", 1, 8)]),
        ('{"a":1,"\\u0061":2}', [("RC0011", 1, 8)]),
        ("[NaN]", [("RC0012", 1, 2)]),
        ("[-Infinity]", [("RC0012", 1, 2)]),
        ("[0x1F]", [("RC0012", 1, 2)]),
        ("[012]", [("RC0012", 1, 2)]),
        ("[+1]", [("RC0012", 1, 2)]),
        ("[.5]", [("RC0012", 1, 2)]),
        ("['a']", [("RC0012", 1, 2)]),
        ("{acls: 1}", [("RC0012", 1, 2)]),
        ("[True]", [("RC0012", 1, 2)]),
        ("{“acls”: []}", [("RC0012", 1, 2)]),
        ("# hello\n[]", [("RC0012", 1, 1)]),
        ("[] /* x", [("RC0013", 1, 4)]),
        ("[] // x", [("RC0013", 1, 4)]),
        ("", [("RC0014", 1, 1)]),
        (" \n\t", [("RC0014", 2, 2)]),
        ("/* nothing */ // at all\n", [("RC0014", 2, 1)]),
        ("[" * 201 + "]" * 201, [("RC0015", 1, 201)]),
        ('["\\ud800"]', [("RC0016", 1, 2)]),
        ('["\\udc00\\ud800"]', [("RC0016", 1, 2)]),
        ('["\ud800"]', [("RC0016", 1, 3)]),
        ("[1] // \ud800\n", [("RC0016", 1, 8)]),
        ('["a\tb"]', [("RC0016", 1, 4)]),
        ('["a\\x"]', [("RC0016", 1, 4)]),
        ('["a\\u12"]', [("RC0016", 1, 4)]),
        (
            '["abc\n]',
            [
                ("RC0016", 1, 2),
            ],
        ),
        ("\ufeff{}", [("RC0017", 1, 1)]),
        ("[\u00a01]", [("RC0017", 1, 2)]),
        ("[1e999]", [("RC0018", 1, 2)]),
        ("[" + "9" * 5000 + "]", [("RC0018", 1, 2)]),
        ("{} []", [("RC0019", 1, 4)]),
        ("{},", [("RC0019", 1, 3)]),
        (
            "{a: 'b',\n 'c': 01}",
            [("RC0012", 1, 2), ("RC0012", 1, 5), ("RC0012", 2, 2), ("RC0012", 2, 7)],
        ),
    ],
)
def test_refusals(text: str, findings: list[tuple[str, int, int]]) -> None:
    assert refused(text) == findings


def test_repeated_name_shows_both_places() -> None:
    with pytest.raises(InputError) as caught:
        parse('{\n"a": 1,\n"b": 2,\n"a": 3}')
    (finding,) = caught.value.diagnostics
    assert (finding.position and finding.position.line) == 4
    assert [other.position.line for other in finding.related] == [2]


def test_comment_without_line_break_says_what_the_server_says() -> None:
    with pytest.raises(InputError) as caught:
        parse('{"acls": []}\n// the end')
    (finding,) = caught.value.diagnostics
    assert "parsing comment: unexpected EOF" in finding.why
    assert "line break" in finding.help


def test_depth_limit_is_exact() -> None:
    assert parse("[" * 200 + "1" + "]" * 200).value


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000_000,
        '{"a":' * 2_000_000,
        "/*" * 5_000_000,
        ", /* x */" * 1_000_000,
        '"' * 10_000_001,
        "\\" * 10_000_000,
        "[" + "1," * 500_000 + ",]",
        "x" * 10_000_000,
        "[" + '"\\ud800",' * 100_000 + "]",
        "-" * 10_000_000,
        "[" + "/* */" * 1_000_000 + ",]",
    ],
    ids=lambda text: repr(text[:9]),
)
def test_ten_megabytes_of_garbage(text: str) -> None:
    before = time.process_time()
    assert refused(text)
    assert time.process_time() - before < 20  # about a second; quadratic takes hours


def test_no_more_findings_than_a_person_reads() -> None:
    assert len(refused("[" + "x," * 1000 + "]")) == 50


def large() -> str:
    rule = '  // rule\n  {"action": "accept", "src": ["group:g%d", "tag:t%d"],\n'
    rule += '   "proto": "tcp", "dst": ["tag:t%d:443,8443", "10.0.0.%d/32:22",], },\n'
    rules = "".join(rule % (i, i, i, i % 250) for i in range(1400))
    return '{"acls": [\n' + rules + "]}\n"


def test_large_policy_is_fast() -> None:
    text = large()
    assert len(text) > 185_000

    def seconds() -> float:
        before = time.process_time()
        parse(text)
        return time.process_time() - before

    assert min(seconds() for _ in range(5)) < 0.1


def test_document_keeps_its_text() -> None:
    document = parse(POLICY, "x.hujson")
    assert isinstance(document, Document)
    assert (document.text, document.file) == (POLICY, "x.hujson")


YAML = """# the policy
groups:
  group:ops: [ann@]
acls:
  - action: accept
    src: [group:ops]
    dst: ["*:22"]
"""
MEMBERS = '"groups": {"group:ops": ["ann@"]},\n"acls": [],\n'


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        (YAML, "this is YAML, and a policy file is HuJSON", "under `policy:`"),
        (
            "---\nacls: []\n",
            "this is YAML, and a policy file is HuJSON",
            "render policy",
        ),
        ('"acls":\n  - action: accept\n', "this is YAML", "under `policy:`"),
        ("'acls': []\n", "this is YAML", "under `policy:`"),
        ("- action: accept\n", "this is YAML", "under `policy:`"),
        (MEMBERS + "}\n", "does not begin with {", "write { before this line"),
        ("// hm\n" + MEMBERS, "does not begin with {", "and } at the end"),
        ('"acls":\n[ { "action": } ]', "does not begin with {", "write { before"),
    ],
)
def test_what_is_no_hujson_at_all_is_one_finding(text, message, help):
    with pytest.raises(InputError) as error:
        parse(text)
    (finding,) = error.value.diagnostics
    assert message in finding.message
    assert help in finding.help
