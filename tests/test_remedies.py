"""Every remedy that is printed is made, and does what it says and nothing else."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconcile.desired import schema
from reconcile.errors import InputError
from reconcile.jobs.options import Options
from reconcile.jobs.several import make_plans
from reconcile.live import snapshot
from reconcile.plan.changes import Action
from reconcile.plan.policies import ON_SERVER
from reconcile.remedies import Add, Cut, Drop, Put, Rename, Reword
from reconcile.source.yaml import parse
from tests.commands import commands_in, parsed
from tests.remedies import make, paste
from tests.unit.bad_files import FORM, MEANING, WARNINGS
from tests.unit.bad_states import PLANS, WAITING
from tests.unit.test_bad_files import POLICY, findings_of, split

CASES = Path(__file__).parent / "cases"
TABLE = {**FORM, **MEANING, **WARNINGS}
# What the file itself asked for, told once it can be read.
WISHED = {"RC0207", "RC0115"}
# A remedy of these decides which node an entry means, and so what becomes of it.
BINDING = {"RC0203", "RC0204"}
OPTIONS = Options(files=("tailnet.yaml",), environ={}, snapshot="live.json")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.hujson").write_text(POLICY)
    (tmp_path / "teams.yaml").write_text("users: {}\n")
    return tmp_path


def told(way, help):
    """Tell whether each edit of a way out can be read in the help."""
    return all(
        isinstance(edit, Cut | Drop) or str(edit).strip("`") in help for edit in way
    )


# -- files that are wrong --------------------------------------------------------------


def test_the_table_offers_many_remedies(folder):
    offered = sum(
        len(found.ways)
        for marked, *_ in TABLE.values()
        for found in findings_of(split(marked)[0])
    )
    assert offered > 60


@pytest.mark.parametrize("name", TABLE)
def test_a_remedy_for_a_bad_file_leaves_no_finding(name, folder):
    text, _, _ = split(TABLE[name][0])
    for finding in findings_of(text):
        for way in finding.ways:
            findings_of(text)  # write the file anew
            assert told(way, finding.help)
            make(way, finding)
            after = findings_of(Path("tailnet.yaml").read_text())
            assert [str(f) for f in after if f.code not in WISHED] == [], way


RICH = {
    "version": 1,
    "server": {
        "type": "headscale",
        "url": "https://hs.example.com",
        "credentials": {"api_key": {"command": ["pass", "show", "hs"]}},
    },
    "include": [{"path": "teams.yaml", "owns": ["users"]}],
    "manage": {"users": "report", "nodes": {"unlisted": "report"}, "policy": "exact"},
    "defaults": {"nodes": {"tags": [], "exit_node": False, "expiry": "never"}},
    "users": {"eve": {"email": "e@x.y", "was": ["eva"], "until": "2030-01-01"}},
    "nodes": {
        "tv": {
            "match": {"machine_key": f"mkey:{1:064x}", "user": "eve"},
            "routes": {"approve": ["10.0.0.0/8"], "mode": "at-least"},
            "exit_node": True,
            "pending": "ok",
            "replace": "report",
        }
    },
    "node_rules": [{"match": {"tag": "tag:router"}, "expiry": "never"}],
    "removed": ["node:old"],
    "policy": {
        "tagOwners": {"tag:router": ["eve@"]},
        "acls": [{"action": "accept", "src": ["eve@"], "dst": ["tag:router:22"]}],
        "deliver": {"file": "x.hujson", "then": ["reload"]},
    },
    "assert": [{"at_least": {"routers": 1, "for": "10.0.0.0/8"}, "because": "x"}],
    "if_unsupported": "warn",
}


def paths(value, path=()):
    """Yield the path of everything in a document."""
    if path:
        yield path
    below = value.items() if isinstance(value, dict) else ()
    below = enumerate(value) if isinstance(value, list) else below
    for step, item in below:
        yield from paths(item, (*path, step))


def spoilt(path, wrong):
    """Return the rich document as text, with something wrong at a path."""
    document = json.loads(json.dumps(RICH))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = wrong
    return json.dumps(document)


def test_the_rich_document_is_fine(folder):
    assert findings_of(json.dumps(RICH)) == ()


# A value that is of the right type now, and still no file, network, day or tag.
STILL_WRONG = {"RC0001", "RC0025", "RC0109", "RC0114"}


@pytest.mark.parametrize("path", list(paths(RICH)), ids=lambda p: ".".join(map(str, p)))
def test_a_remedy_for_anything_wrong_anywhere_works_and_opens_nothing(path, folder):
    for wrong in (None, [], {}, "x", "a b", 12, True):
        text = spoilt(path, wrong)
        before = findings_of(text)
        for finding in before:
            for way in finding.ways:
                findings_of(text)
                make(way, finding)
                made = Path("tailnet.yaml").read_text()
                key = finding.code, finding.message
                known = {(f.code, f.message) for f in before} - {key}
                new = {(f.code, f.message) for f in findings_of(made)} - known
                assert key not in new, way
                allowed = WISHED | STILL_WRONG | {"RC0118"}
                assert {code for code, _ in new} <= allowed, (way, new)
                assert_not_opened(made, text)


def assert_not_opened(made, text):
    """Assert that a policy still has rules, and that each says what it said."""
    policy, given = (parse(file, "x").value.get("policy") for file in (made, text))
    if not isinstance(policy, dict):
        return
    assert "acls" in policy or "file" in policy
    said = given.get("acls") if isinstance(given, dict) else ()
    for rule, before in zip(policy.get("acls") or (), said or (), strict=False):
        if isinstance(rule, dict) and isinstance(before, dict):
            assert rule.keys() >= before.keys()


# -- plans -----------------------------------------------------------------------------


def write(text, state):
    Path("tailnet.yaml").write_text(f"version: 1\n{text}\n")
    Path("live.json").write_text(snapshot.dumps(state))


def plan_of():
    ((plan,), _) = make_plans(OPTIONS)
    return plan


def moves(plan):
    """Return each thing that a plan changes."""
    return {
        (change.address, change.action, name, json.dumps(value))
        for change in plan.changes
        for name, value in (change.after or {"": ""}).items()
    }


def gains(plan):
    return set(plan.access.gained) if plan.access else set()


def of_policy(way):
    return any(isinstance(edit, Cut | Reword) for edit in way)


def opens_more(after, before, way):
    """Tell whether a plan opens more than another one.

    Another policy may have other names for the same: there the paths are counted.
    """
    if of_policy(way):
        return after.access.paths_gained > before.access.paths_gained
    return not gains(after) <= gains(before)


def found_in(plan):
    return {(f.code, f.message): f for f in plan.diagnostics}


def addresses(way):
    """Return the objects that a way out names."""
    named = set()
    for edit in way:
        if isinstance(edit, Put | Drop) and edit.path[0] in ("nodes", "users"):
            named.add(f"{edit.path[0][:-1]}:{edit.path[1]}")
        if isinstance(edit, Add) and edit.path == ("removed",):
            named |= set(edit.items)
        if isinstance(edit, Rename):
            named.add(f"node:{edit.name}")
        if isinstance(edit, Cut | Reword):  # of the policy that the finding is about
            named.add("policy")
    return named


def check_plan(before, finding, way):
    """Assert that a way out, which has been made, leaves all else alone."""
    after = plan_of()
    more = moves(after) - moves(before)
    named = addresses(way) | {finding.address}
    assert {address for address, *_ in more} <= named, way
    removed = {address for address, action, *_ in more if action is Action.DELETE}
    asked = {item for edit in way if isinstance(edit, Add) for item in edit.items}
    assert removed <= asked | {finding.address}, way
    if finding.code not in BINDING:
        changed = {m for m in more if m[1] is Action.UPDATE and m[0] != "policy"}
        fields = {name for _, _, name, _ in changed}
        assert fields <= {"name"}, way
        assert not opens_more(after, before, way), way
    known = found_in(before)
    if of_policy(way):  # rules after one that goes have other numbers
        codes, old = (Counter(f.code for f in p.diagnostics) for p in (after, before))
        assert codes[finding.code] < old[finding.code], way
        assert codes.keys() <= old.keys(), way
        return
    for key, new in found_in(after).items():
        lowered = key in known and known[key].severity != new.severity
        assert key in known or new.code in WISHED, (way, str(new))
        assert key != (finding.code, finding.message) or lowered, way


def check_findings(before, anew):
    """Make each remedy of a plan's findings on files that `anew` writes."""
    made = 0
    for finding in before.diagnostics:
        here = not finding.position or finding.position.file != ON_SERVER
        for way in finding.ways if here else ():
            anew()
            assert told(way, finding.help)
            make(way, finding)
            check_plan(before, finding, way)
            made += 1
    return made


@pytest.mark.parametrize("name", PLANS)
def test_a_remedy_for_a_plan_moves_nothing_else(name, folder):
    text, state, codes = PLANS[name]

    def anew():
        write(text, state)

    anew()
    before = plan_of()
    assert {f.code for f in before.diagnostics if f.ways} == codes
    assert check_findings(before, anew)


def check_offers(before, anew):
    """Make each match that is offered for an entry whose device looks another one."""
    made = 0
    for one in (*before.pending, *before.replaced):
        for way in one.offers:
            anew()
            make(way, one)
            after = plan_of()
            waiting = {pending.address for pending in after.pending}
            assert {one.address, *addresses(way)}.isdisjoint(waiting), way
            new = found_in(after).keys() - found_in(before).keys()
            assert {code for code, _ in new} <= WISHED, way
            made += 1
    return made


@pytest.mark.parametrize("name", WAITING)
def test_a_match_that_is_offered_keeps_what_the_old_one_asked_for(name, folder):
    text, state = WAITING[name]
    write(text, state)
    before = plan_of()
    made = check_offers(before, lambda: write(text, state))
    assert bool(made) is (name != "of nobody known")


# -- what is printed -------------------------------------------------------------------

SNIPPET = re.compile(r"`([a-z_]+: [^`]*)`")


def snippets(findings):
    """Yield each piece of YAML that findings print, if it is not only a form."""
    for finding in findings:
        for found in SNIPPET.findall(f"{finding.help}\n{finding.why}"):
            if "…" not in found and "NAME" not in found:
                yield found


def every_finding(folder):
    """Yield what is found in all tables and cases."""
    for marked, *_ in TABLE.values():
        yield from findings_of(split(marked)[0])
    for yaml, state, _ in PLANS.values():
        write(yaml, state)
        yield from plan_of().diagnostics
    for case in CASES.iterdir():
        shutil.copytree(case, folder, dirs_exist_ok=True)
        try:
            yield from plan_of().diagnostics
        except InputError as error:
            yield from error.diagnostics


def test_commands_that_findings_print_are_taken(folder):
    found = list(every_finding(folder))
    told = [f"{each.why}\n{each.help}" for each in found]
    commands = [arguments for text in told for arguments in commands_in(text)]
    assert len(commands) > 3
    for arguments in commands:
        assert parsed(arguments).command.name in arguments


def places(name, part=None):
    """Yield each part of the schema that stands under a name, wherever that is."""
    part = SCHEMA if part is None else part
    if isinstance(part, dict):
        if name in part.get("properties", ()):
            yield part["properties"][name]
        for below in part.values():
            yield from places(name, below)
    elif isinstance(part, list):
        for below in part:
            yield from places(name, below)


SCHEMA = json.loads(schema.text("desired"))


def test_what_is_printed_is_yaml_that_the_schema_takes(folder):
    found = set(snippets(every_finding(folder)))
    assert len(found) > 10
    for snippet in found:
        source = parse(snippet, "printed")
        assert not source.findings
        ((name, value),) = source.value.items()
        wanted = [{**part, "$defs": SCHEMA["$defs"]} for part in places(name)]
        if not wanted:  # an entry, whose name somebody chose
            wanted = [
                {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
                for kind in ("nodes", "users")
            ]
            value = {name: value}
        assert any(Draft202012Validator(part).is_valid(value) for part in wanted), (
            snippet
        )


# -- cases -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_cases(name, folder):
    def anew():
        shutil.copytree(CASES / name, folder, dirs_exist_ok=True)

    anew()
    try:
        before = plan_of()
    except InputError:
        return  # the table of bad files is for these
    check_findings(before, anew)
    check_offers(before, anew)
    anew()
    if any(one.yaml for one in before.unlisted):
        paste(before.unlisted)
        after = plan_of()
        assert moves(after) <= moves(before)
        assert gains(after) <= gains(before)
        assert found_in(after).keys() <= found_in(before).keys()
