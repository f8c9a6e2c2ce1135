"""`validate` reads the policy as every supported release would, without a server."""

import json

import pytest

from reconcile.lint import of_words as portable
from reconcile.scene import written

FILE = "version: 1\npolicy: { file: policy.hujson }\n"
GRANT = '{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["tcp:22"]}]}'
RULE = '{"acls": [{"action": "accept", "src": ["%s"], "dst": ["*:22"]}]}'


@pytest.fixture
def validate(command, tmp_path):
    def call(policy, *arguments, yaml=FILE):
        (tmp_path / "tailnet.yaml").write_text(yaml)
        (tmp_path / "policy.hujson").write_text(policy)
        return command("validate", *arguments)

    return call


def test_what_every_release_accepts_needs_no_word(validate):
    code, out, err = validate(RULE % "alice@")
    assert (code, err) == (0, "")
    assert out.startswith("Valid: ")


def test_what_no_release_accepts_is_an_error_with_its_place(validate):
    code, out, err = validate(RULE % "group:nosuch")
    assert (code, out) == (1, "")
    assert "error[RC0602]" in err
    assert "--> policy.hujson:1:40" in err


def test_what_only_some_accept_is_a_warning_that_names_the_others(validate):
    code, out, err = validate(GRANT)
    assert code == 0
    assert out.startswith("Valid, 1 warning")
    assert "warning[" in err
    assert 'unknown field "grants"' in err
    assert "refused by Headscale 0.27, 0.28, ignored by Headscale 0.26\n" in err
    assert "help: nothing to do for Headscale 0.29, main; for your server" in err


def test_a_name_that_one_release_refuses_is_told_once():
    rule = '{"action": "accept", "src": ["%s"], "dst": ["*:*"]}'
    names = ("autogroup:member", "autogroup:tagged", "autogroup:member")
    rules = ", ".join(rule % name for name in names)
    found = portable(written(f'{{"acls": [{rules}]}}', "p"), hosted=False)
    told = [(d.message, d.why) for d in found if d.code == "RC0608"]
    assert told == [
        (
            'acls[0]: src=invalid autogroup "autogroup:member"',
            "refused by Headscale 0.26, here and in 1 more place",
        ),
        (
            'acls[1]: src=invalid autogroup "autogroup:tagged"',
            "refused by Headscale 0.26",
        ),
    ]


def test_a_hosted_tailnet_is_read_as_one():
    words = written(
        '{"postures": {"posture:a": ["node:os == \'linux\'"]}, "acls": []}', "p"
    )
    assert portable(words, hosted=True) == []
    (finding,) = portable(words, hosted=False)
    assert (finding.severity, finding.position.line) == ("warning", 1)
    assert finding.why == (
        "refused by Headscale 0.27, 0.28, 0.29, main, ignored by Headscale 0.26"
    )


def test_inline_policies_have_places_in_the_yaml(validate):
    yaml = """version: 1
policy:
  acls:
    - { action: accept, src: [group:nosuch], dst: ["*:22"] }
"""
    code, _, err = validate("", yaml=yaml)
    assert code == 1
    assert "--> tailnet.yaml:4:" in err


def test_json(validate):
    code, out, _ = validate(RULE % "group:nosuch", "--format", "json")
    assert code == 1
    assert "RC0602" in json.dumps(json.loads(out))
