"""`validate` reads the policy as every supported release would, without a server."""

import json

import pytest

from reconcile.desired import schema
from reconcile.model import RELEASES
from reconcile.policy.language.releases import RELEASES as ROWS
from reconcile.policy.reading.reception import receive
from reconcile.review.lint import of_words
from reconcile.review.state import written

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
    assert finding.label == "also in lines 3 and 4"


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


# Which release.

NAMED = """version: 1
server: { type: headscale, url: "simulator:world.json", release: "%s" }
policy: { file: policy.hujson }
"""
LEGACY = '{"acls": [{"action": "accept", "users": ["ann@"], "ports": ["*:22"]}]}'
NOBODY = {
    "section": '{"alcs": []}',
    "legacy": LEGACY,
    "tests": '{"acls": [], "tests": [{"user": "ann@", "allow": ["*:22"]}]}',
    "postures": '{"acls": [], "postures": {"posture:a": ["node:os == \'linux\'"]}}',
}


@pytest.mark.parametrize("name", NOBODY)
def test_what_only_the_oldest_release_takes_is_not_valid(validate, name):
    code, out, err = validate(NOBODY[name])
    assert (code, out) == (1, "")
    assert "RC0116" not in err
    assert "refused by Headscale 0.27, 0.28, 0.29 and main; " in err


def test_the_oldest_release_alone_takes_it_and_does_not_make_it_valid(validate):
    code, out, err = validate(LEGACY, "--release", "0.26")
    assert code == 0
    assert out.startswith("Taken, ")
    assert "Read as Headscale 0.26 reads it, which ignores a part of it.\n" in out
    assert 'warning[RC0609]: "users" does nothing on Headscale 0.26' in err


@pytest.mark.parametrize(("release", "code"), [("0.28", 1), ("0.29", 0), ("0.30", 0)])
def test_a_release_can_be_named(validate, release, code):
    assert validate(GRANT, "--release", release)[0] == code
    assert validate(GRANT, yaml=NAMED % release)[0] == code


def test_the_option_wins_over_the_file(validate):
    code, out, err = validate(GRANT, "--release", "0.29", yaml=NAMED % "0.28")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "Read as Headscale 0.29 reads it."


def test_a_number_without_quotes_is_no_release(validate):
    code, _, err = validate(GRANT, yaml=NAMED.replace('"%s"', "0.30"))
    assert code == 1
    assert 'write it in quotes, without the patch number: release: "0.29"' in err


def test_releases_are_the_same_ones_everywhere():
    asked = schema.violations({"version": 1, "server": {"url": "x", "release": "1"}})
    (allowed,) = [v.wanted for v in asked if v.path == ("server", "release")]
    assert tuple(allowed) == RELEASES
    assert {*RELEASES} == {*ROWS, "0.30"}


def test_a_server_of_another_release_is_a_warning_with_both(
    validate, command, tmp_path
):
    (tmp_path / "world.json").write_text('{"emulate": "0.29"}')
    validate('{"acls": []}', yaml=NAMED % "0.28")
    code, _, err = command("plan")
    assert code == 0
    assert "warning[RC0308]: the server is of release 0.29, not 0.28" in err
    assert "tailnet.yaml:2:66" in err
    assert 'help: write release: "0.29"' in err
    validate('{"acls": []}', yaml=NAMED % "0.29")
    assert "RC0308" not in command("plan")[2]


def test_a_policy_that_opens_all_is_told_where_a_release_takes_it(validate):
    assert "RC0116" in validate('{"groups": {}}')[2]
    assert "RC0116" not in validate('{"groups": {}}', "--release", "0.26")[2]
    assert "RC0116" not in validate('{"groups": {"a": []}, "alcs": []}')[2]


def test_who_takes_a_policy_is_in_the_json(validate):
    code, out, _ = validate(GRANT, "--format", "json")
    assert code == 0
    assert json.loads(out)["policies"] == [
        {
            "server": "",
            "taken_by": ["0.29", "main"],
            "refused_by": ["0.27", "0.28"],
            "ignored_in_part_by": ["0.26"],
        }
    ]


def test_a_policy_in_yaml_is_one_error_and_its_remedy_works(validate):
    policy = "acls:\n  - action: accept\n    src: [ann@]\n    dst: ['*:22']\n"
    code, _, err = validate(policy)
    assert (code, err.count("error[")) == (1, 1)
    assert "put its lines under `policy:` in tailnet.yaml" in err
    inline = "".join(f"  {line}\n" for line in policy.splitlines())
    assert validate(policy, yaml=f"version: 1\npolicy:\n{inline}")[0] == 0
