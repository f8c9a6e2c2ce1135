"""`accept`: warnings that somebody lives with are counted and not printed."""

import json

import pytest

POLICY = """{
  "tagOwners": {"tag:db": ["ann@"], "tag:old": ["ann@"]},
  "acls": [
    {"action": "accept", "src": ["ann@"], "dst": ["tag:db:*"]},
    {"action": "accept", "src": ["*"], "dst": ["*:*"]},
  ],
}
"""
FILE = """version: 1
server: { url: "simulator:world.json", release: "0.29" }
policy: { file: policy.hujson }
nodes:
  nas: { match: { hostname: nas }, tags: [tag:db] }
accept:
%s
"""
NODE = "{ code: RC0207, for: 'node:nas', because: only admins enrol devices }"
UNUSED = "{ code: RC0505, for: 'tag:old', because: kept for the migration }"
BROAD = "{ code: RC0503, for: '*', because: a lab }"


@pytest.fixture
def run(command, tmp_path):
    def call(*entries, arguments=("validate",), policy=POLICY):
        listed = "\n".join(f"  - {entry}" for entry in entries) or "  []"
        (tmp_path / "tailnet.yaml").write_text(FILE % listed)
        (tmp_path / "policy.hujson").write_text(policy)
        (tmp_path / "world.json").write_text('{"emulate": "0.29"}')
        return command(*arguments)

    return call


def test_without_it_all_warnings_are_printed(run):
    code, out, err = run()
    assert code == 0
    assert out.startswith("Valid, 3 warnings: ")
    assert [err.count(c) for c in ("RC0207", "RC0505", "RC0503")] == [1, 1, 1]


def test_accepted_ones_are_counted_and_not_printed(run):
    code, out, err = run(NODE, UNUSED, BROAD)
    assert code == 0
    assert out.startswith("Valid, 3 accepted: ")
    assert err == ""


def test_another_name_is_not_accepted_and_the_entry_is_a_finding(run):
    code, out, err = run(NODE, UNUSED.replace("tag:old", "tag:db"), BROAD)
    assert code == 0
    assert out.startswith("Valid, 2 warnings, 2 accepted: ")
    assert "warning[RC0505]: nothing uses tag:old" in err
    assert "warning[RC0117]: there is no warning RC0505 about `tag:db`" in err
    assert "tailnet.yaml:8:5" in err
    assert "write what the warning is about: tag:old" in err


def test_all_of_the_policy_can_be_meant(run):
    assert "RC0505" not in run(UNUSED.replace("tag:old", "policy"))[2]


def test_an_entry_is_needed_once_only(run):
    _, _, err = run(NODE, NODE, UNUSED, BROAD)
    assert err.count("warning[RC0117]") == 1
    assert "the warning is gone, or has another name" in err


def test_what_only_a_tailnet_shows_is_not_called_idle_without_one(run):
    entry = "{ code: RC0502, for: 'ann@', because: readable }"
    assert "RC0117" not in run(NODE, UNUSED, BROAD, entry)[2]


def test_an_error_is_not_accepted(run):
    entry = "{ code: RC0601, for: alcs, because: no }"
    policy = '{"tagOwners": {"tag:db": []}, "alcs": []}'
    code, _, err = run(NODE, entry, policy=policy)
    assert code == 1
    assert "error[RC0601]" in err
    assert "what it names is an error here, and errors are not accepted" in err


def test_beside_an_error_they_are_not_printed_either(run):
    code, _, err = run(NODE, policy='{"tagOwners": {}, "acls": []}')
    assert code == 1
    assert "error[RC0107]" in err
    assert "RC0207" not in err


def test_a_code_that_does_not_exist(run):
    code, _, err = run("{ code: RC9207, for: 'node:nas', because: no }")
    assert code == 1
    assert "error[RC0008]: there is no code `RC9207`" in err


@pytest.mark.parametrize("field", ["code", "for", "because"])
def test_each_field_is_needed(run, field):
    fields = {"code": "RC0207", "for": "node:nas", "because": "fine"}
    del fields[field]
    code, _, err = run(json.dumps(fields))
    assert code == 1
    assert f"accept[0] needs `{field}`" in err


def test_a_plan_counts_them_too(run):
    code, out, err = run(NODE, arguments=["plan"])
    assert code == 0
    assert "RC0207" not in err
    assert "Note: 1 warning accepted in the files" in out
    assert "RC0207" in run(arguments=["plan"])[2]


def test_the_other_formats_do_not_hold_them(run):
    _, out, _ = run(NODE, arguments=["validate", "--format", "json"])
    found = json.loads(out)["diagnostics"]
    assert {each["code"] for each in found} == {"RC0503", "RC0505"}
