"""A policy in several files: put together strictly, located in its own file."""

import json
import os
from hashlib import sha256

import pytest

from reconcile.desired import read
from reconcile.errors import InputError
from reconcile.jobs.review import Review
from reconcile.plan.compare import diff
from reconcile.source.hujson import parse
from tests.support import live

FILES = "version: 1\npolicy: { files: [policy/base.hujson, 'policy/team-*.hujson'] }\n"
BASE = """// Who may do what.
{
  "groups": {"group:admins": ["alice@"]},
  "tagOwners": {"tag:db": ["group:admins"]},
  "acls": [
    {"action": "accept", "src": ["group:admins"], "dst": ["*:*"]},
  ],
}
"""
TEAM = """{
  "Groups": {"group:data": ["bob@"]},
  "ACLs": [
    // the data team's own
    {"action": "accept", "src": ["group:data"], "dst": ["tag:db:5432"]},
  ],
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def put(folder):
    def write(yaml=FILES, **fragments):
        (folder / "policy").mkdir(exist_ok=True)
        (folder / "tailnet.yaml").write_text(yaml)
        for name, text in fragments.items():
            file = f"policy/{name.replace('_', '-')}.hujson"
            (folder / file).write_text(text)

    return write


def state(**options):
    (desired,) = read(["tailnet.yaml"], environ={}, **options)
    return desired


def refused():
    with pytest.raises(InputError) as caught:
        state()
    return caught.value.diagnostics


def test_the_files_are_put_together_in_their_order(put):
    put(base=BASE, team_b=TEAM, team_a='{"acls": [], "hosts": {"h": "10.0.0.1"}}')
    policy = state().policy
    assert policy.rendered
    assert policy.text == (
        """\
// Written by reconcile; edit it in the files that it is from:
//   policy/base.hujson
//   policy/team-a.hujson
//   policy/team-b.hujson
{
  "groups": {
    "group:admins": ["alice@"],
    "group:data": ["bob@"],
  },
  "hosts": {"h": "10.0.0.1"},
  "tagOwners": {
    "tag:db": ["group:admins"],
  },
  "acls": [
    {"action": "accept", "src": ["group:admins"], "dst": ["*:*"]},
    {"action": "accept", "src": ["group:data"], "dst": ["tag:db:5432"]},
  ],
}
"""
    )
    assert parse(policy.text).value == policy.value


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        (("acls", 0), False, "policy/base.hujson:6:5"),
        (("acls", 1), False, "policy/team-b.hujson:5:5"),
        (("acls", 1, "dst", 0), False, "policy/team-b.hujson:5:57"),
        (("groups", "group:data"), True, "policy/team-b.hujson:2:14"),
        (("groups", "group:data", 0), False, "policy/team-b.hujson:2:29"),
        (("groups",), True, "policy/base.hujson:3:3"),
        (("autoApprovers", "exitNode", 1), False, "policy/team-b.hujson:7:34"),
        (("autoApprovers", "routes", "10.0.0.0/8"), True, "policy/base.hujson:8:32"),
        (("hosts", "nowhere"), False, "tailnet.yaml:2:18"),
        ((), False, "tailnet.yaml:2:18"),
    ],
)
def test_every_part_stands_in_its_own_file(put, path, key, place):
    base, team = BASE.rstrip().rstrip("}"), TEAM.rstrip().rstrip("}")
    put(
        base=base + '  "autoApprovers": {"routes": {"10.0.0.0/8": []}, "exitNode": '
        '["tag:db"]},\n}\n',
        team_b=team + '  "autoapprovers": {"exitnode": ["group:data"]},\n}\n',
    )
    assert str(state().policy.locate(path, key=key)) == place


@pytest.mark.parametrize(
    ("first", "second", "what", "places"),
    [
        (
            '{"groups": {"group:a": []}}',
            '{"GROUPS": {"group:b": [], "group:a": []}}',
            "groups.`group:a`",
            ("1:13", "1:28"),
        ),
        ('{"hosts": {"a": "1.1.1.1"}}', '{"hosts": {"a": "1.1.1.1"}}', "hosts.a", ()),
        (
            '{"tagOwners": {"tag:a": []}}',
            '{"tagowners": {"tag:a": []}}',
            "tagOwners",
            (),
        ),
        (
            '{"autoApprovers": {"routes": {"10.0.0.0/8": []}}}',
            '{"autoApprovers": {"Routes": {"10.0.0.0/8": []}}}',
            "autoApprovers.routes.`10.0.0.0/8`",
            ("1:31", "1:31"),
        ),
        (
            '{"randomizeClientPort": true}',
            '{\n"RandomizeClientPort": true}',
            "randomizeClientPort",
            ("1:2", "2:1"),
        ),
        ('{"x": {"a": 1}}', '{"x": {"b": 2}}', "x", ("1:2", "1:2")),
        ('{"acls": []}', '{"acls": {}}', "acls", ("1:2", "1:2")),
        ('{"acls": {}}', '{"acls": []}', "acls", ("1:2", "1:2")),
    ],
)
def test_what_two_files_say_is_an_error_with_both_places(
    put, first, second, what, places
):
    put(base='{"acls": []}' if "acls" not in first else "{}")
    put(team_a=first, team_b=second)
    (found,) = refused()
    assert found.code == "RC0023"
    assert found.message.startswith(what)
    assert found.message.endswith("is said in two files")
    (related,) = found.related
    if places:
        assert str(related.position) == f"policy/team-a.hujson:{places[0]}"
        assert str(found.position) == f"policy/team-b.hujson:{places[1]}"


def test_two_spellings_in_one_file_are_told_by_validate(put, command):
    put(base='{"acls": [],\n "ACLs": []}', team_a='{"acls": []}')
    code, _, err = command("validate")
    assert code == 1
    assert '"ACLs" and "acls" are the same field' in err
    assert "--> policy/base.hujson:2:2" in err


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"acls": [}', "RC0010", "policy/team-a.hujson:1:11"),
        ("[]", "RC0007", "policy/team-a.hujson:1:1"),
        ("", "RC0014", "policy/team-a.hujson:1:1"),
        ("\ufeff{}", "RC0027", "policy/team-a.hujson:1:1"),
        ('{"groups": {"a": [], "a": []}}', "RC0011", "policy/team-a.hujson:1:22"),
    ],
)
def test_a_broken_fragment_is_told_alone(put, text, code, place):
    put(base=BASE, team_a=text)
    (found,) = refused()
    assert (found.code, str(found.position)) == (code, place)


def test_every_broken_fragment_is_told(put):
    put(base="[", team_a="[", team_b="3")
    assert [f.position.file for f in refused()] == [
        "policy/base.hujson",
        "policy/team-a.hujson",
        "policy/team-b.hujson",
    ]


def test_a_glob_that_finds_nothing_is_an_error(put):
    put(base=BASE)
    (found,) = refused()
    assert (found.code, str(found.position)) == ("RC0024", "tailnet.yaml:2:39")
    assert found.message == "`policy/team-*.hujson` matches no file"


def test_a_file_that_is_not_there_proposes_its_neighbour(put):
    put(FILES.replace("base", "bsae"), base=BASE, team_a="{}")
    (found,) = refused()
    assert (found.code, str(found.position)) == ("RC0001", "tailnet.yaml:2:19")
    assert found.help == "did you mean policy/base.hujson?"


def test_a_folder_is_no_fragment(put, folder):
    put(base=BASE)
    (folder / "policy" / "team-x.hujson").mkdir()
    (found,) = refused()
    assert found.code == "RC0001"
    assert "policy/team-x.hujson: it is a folder" in found.message


def test_a_file_that_two_globs_find_counts_once(put):
    put(
        "version: 1\npolicy: {files: [policy/team-b.hujson, 'policy/*', ./policy/base.hujson]}",
        base=BASE,
        team_b=TEAM,
    )
    desired = state()
    assert [rule["src"] for rule in desired.policy.value["acls"]] == [
        ["group:data"],
        ["group:admins"],
    ]
    assert len(desired.files) == 3


@pytest.mark.parametrize(
    ("section", "code", "message"),
    [
        ("{ file: a, files: [policy/b.hujson] }", "RC0008", "both `file` and `files`"),
        ("{ file: a, merge: strict }", "RC0008", "both `file` and `merge`"),
        ("{ files: [] }", "RC0022", "policy.files is empty"),
        ("{ files: 'policy/*' }", "RC0007", "policy.files must be a list"),
        ("{ files: [policy/b.hujson], merge: loose }", "RC0008", "must be strict"),
        (
            "{ files: [policy/b.hujson], acls: [] }",
            "RC0005",
            "`acls` is not known in policy",
        ),
        ("{ merge: strict, acls: [] }", "RC0005", "`merge` is not known in policy"),
    ],
)
def test_bad_sections(put, section, code, message):
    put(f"version: 1\npolicy: {section}\n", b=BASE)
    (found,) = refused()
    assert (found.code, message in found.message) == (code, True)


def test_every_fragment_is_one_of_the_files(put):
    put(base=BASE, team_b=TEAM)
    assert state().files[1:] == (
        ("policy/base.hujson", sha256(BASE.encode()).hexdigest()),
        ("policy/team-b.hujson", sha256(TEAM.encode()).hexdigest()),
    )


def test_an_unknown_tag_points_at_the_fragment_of_its_near_miss(put):
    nodes = "defaults: {nodes: {tags: [tag:bd]}}\n"
    put(FILES + nodes, base=BASE, team_b='{"tagOwners": {"tag:bdd": []}}')
    (found,) = refused()
    assert found.code == "RC0107"
    assert found.label == "not defined in policy/base.hujson"
    assert str(found.related[0].position) == "policy/team-b.hujson:1:16"


def test_a_policy_without_rules_is_warned_of_where_the_files_are_named(put):
    put(base='{"groups": {}}', team_a="{}")
    (found,) = state().warnings
    assert (found.code, str(found.position)) == ("RC0116", "tailnet.yaml:2:18")


def test_an_overlay_replaces_the_files_as_a_whole(put):
    put(
        "version: 1\n"
        "servers: {a: {url: https://a}, b: {url: https://b}, c: {url: https://c},"
        " d: {url: https://d}}\n"
        "policy: {files: ['policy/*'], merge: strict}\n"
        "overlays:\n"
        "  b: {policy: {file: policy/base.hujson}}\n"
        "  c: {policy: {acls: []}}\n"
        "  d: {policy: {files: [policy/team-b.hujson]}}\n",
        base=BASE,
        team_b=TEAM,
    )
    found = [s.policy for s in read(["tailnet.yaml"], server="all", environ={})]
    assert [policy.rendered for policy in found] == [True, False, True, True]
    assert [len(policy.value["acls"]) for policy in found] == [2, 1, 0, 1]
    assert str(found[3].position) == "tailnet.yaml:7:23"


def test_the_text_is_the_same_in_every_folder(put, folder, monkeypatch):
    put(base=BASE, team_b=TEAM)
    here = state().policy.text
    monkeypatch.chdir("/")
    (desired,) = read([str(folder / "tailnet.yaml")], environ={})
    assert desired.policy.text == here


def test_a_file_name_cannot_leave_the_comment(put, folder):
    put("version: 1\npolicy: {files: ['policy/*']}")
    for name in ("a\n}.hujson", "b\x1b[31m.hujson"):
        (folder / "policy" / name).write_text('{"acls": []}')
    assert state().policy.text.splitlines()[1:3] == [
        "//   policy/a?}.hujson",
        "//   policy/b?[31m.hujson",
    ]


def test_a_file_whose_name_no_report_could_hold_is_refused(put, folder):
    put(base=BASE, team_a=TEAM)
    with open(os.path.join(os.fsencode(folder), b"policy", b"team-\xff.hujson"), "w"):
        pass
    (found,) = refused()
    assert (found.code, str(found.position)) == ("RC0001", "tailnet.yaml:2:39")
    assert "policy/team-\\udcff.hujson: its name is not UTF-8" in found.message


def test_only_the_meaning_is_compared(put):
    put(base=BASE, team_b=TEAM)
    rules = state().policy.value
    shuffled = {"ACLS": rules["acls"][::-1], **rules}
    del shuffled["acls"]
    assert diff(state(), live(policy=json.dumps(shuffled))).changes == ()
    shuffled["tests"] = [{"src": "alice@", "accept": ["tag:db:22"]}]
    (change,) = diff(state(), live(policy=json.dumps(shuffled))).changes
    assert change.address == "policy"


def test_a_plan_shows_the_place_in_the_fragment(put):
    put(base=BASE, team_b=TEAM)
    text = state().policy.text.replace("5432", "22")
    (change,) = diff(state(), live(policy=text)).changes
    assert str(change.position) == "tailnet.yaml:2:18"
    (item,) = change.policy.items
    assert (item.subject, str(item.position)) == ("acls[1]", "policy/team-b.hujson:5:5")


# -- what a server refuses -------------------------------------------------------------

BROKEN = TEAM.replace('"accept", "src": ["group:data"]', '"deny", "src": ["bob@"]')


@pytest.fixture
def world(folder, monkeypatch):
    monkeypatch.setenv("HEADSCALE_URL", "simulator:world.json")

    def write(release, text="{}"):
        document = {
            "emulate": release,
            "users": [{"id": 1, "name": "alice"}, {"id": 2, "name": "bob"}],
            "policy": {"text": text, "updated": "2030-01-01T00:00:00Z"},
        }
        (folder / "world.json").write_text(json.dumps(document))

    return write


def test_a_server_that_checks_points_into_the_fragment(put, world, command):
    world("0.29")
    put(base=BASE, team_b=BROKEN)
    code, _, err = command("plan")
    assert code == 1
    assert "error[RC0307]: the server refuses this policy" in err
    assert "--> policy/team-b.hujson:5:16" in err


@pytest.mark.parametrize(
    ("files", "place"),
    [(FILES, "policy/team-b.hujson:5:16"), ("", "tailnet.yaml:2:28")],
)
def test_a_server_that_refuses_the_write_points_there_too(
    put, world, command, files, place, monkeypatch
):
    # As if only the server knew what is wrong.
    monkeypatch.setattr(Review, "judged", lambda _, plan: plan)
    world("0.28")
    inline = (
        'version: 1\npolicy: { acls: [{ action: deny, src: [bob@], dst: ["*:1"] }] }'
    )
    put(files or inline, base=BASE, team_b=BROKEN)
    code, out, _ = command("apply", "--auto-approve", "--progress", "none")
    assert code == 5
    (line,) = [line for line in out.splitlines() if "failed: policy" in line]
    assert f"failed: policy: write: {place}: " in line
    assert 'within "/acls/' in line
