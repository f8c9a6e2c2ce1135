"""`validate` reads the policy as every supported release would, without a server."""

import json

import pytest

from reconcile.lint import of_words
from reconcile.policy.reading.reception import receive
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


def portable(text, release=""):
    words = written(text, "p")
    return of_words(words, receive(words.value, release))


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
    assert "help: nothing to do for Headscale 0.29, main\n" in err
    assert out.splitlines()[1] == (
        "The policy is taken by Headscale 0.29 and main; refused by 0.27 and 0.28; "
        "taken but in part ignored by 0.26 (--release, or `release` under `server`, "
        "names yours)."
    )


def test_what_the_same_releases_do_not_know_is_told_once():
    rule = '{"action": "accept", "src": ["%s"], "dst": ["*:*"]}'
    names = ("autogroup:member", "autogroup:tagged", "autogroup:member")
    rules = ", ".join(rule % name for name in names)
    found = portable(f'{{"acls": [{rules}]}}')
    told = [(d.message, d.why) for d in found if d.code == "RC0608"]
    assert told == [
        (
            "not known to every Headscale: autogroup:member, autogroup:tagged",
            "refused by Headscale 0.26",
        )
    ]


def test_a_word_is_told_once_with_its_other_lines():
    rule = '{"action": "accept", "src": ["group:x"], "dst": ["*:*"]}'
    text = '{"acls": [\n' + ",\n".join([rule] * 3) + "]}"
    (finding,) = portable(text)
    assert (finding.code, finding.position.line) == ("RC0602", 2)
    assert finding.why == "here and in 2 more places, also in lines 3 and 4"


def test_a_hosted_tailnet_is_read_as_one():
    text = '{"postures": {"posture:a": ["node:os == \'linux\'"]}, "acls": []}'
    assert portable(text, "tailscale") == []
    (finding,) = portable(text)
    assert (finding.severity, finding.code) == ("error", "RC0608")
    assert finding.why == "only Tailscale itself has it"


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
