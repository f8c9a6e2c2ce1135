"""Every example reads without a finding, and the schema describes what they use."""

import json
from pathlib import Path

import pytest

from reconcile.desired import read, schema
from reconcile.live import snapshot
from tests.support import live, node, user

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/tailnet.yaml"))


def test_there_are_three():
    assert [folder.name for folder in EXAMPLES] == ["company", "homelab", "small"]


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_reads_without_a_finding(folder):
    environ = {"HEADSCALE_URL": "https://hs.example.com"}
    states = read([str(folder / "tailnet.yaml")], server="all", environ=environ)
    for state in states:
        assert state.warnings == ()
        assert state.users
        assert state.nodes
        assert state.policy


def test_the_company_has_two_servers_that_differ():
    prod, lab = read([str(ROOT / "examples" / "company")], server="all", environ={})
    assert (prod.server.name, lab.server.name) == ("prod", "lab")
    assert (prod.manage.users, lab.manage.users) == ("prune", "report")
    assert prod.nodes["edge-2"].settings == prod.nodes["edge-1"].settings
    assert lab.nodes["db-1"].pending == "ok"
    assert lab.nodes["db-1"].settings.tags == {"tag:db", "tag:prod"}
    assert lab.policy.position.file.endswith("policy/lab.hujson")
    assert (prod.policy.rendered, lab.policy.rendered) == (True, False)
    assert (len(prod.asserts), len(lab.asserts)) == (3, 0)
    read_files = {Path(path).name for path, _ in prod.files}
    assert {"people.yaml", "platform.yaml", "data.yaml"} <= read_files
    assert {"base.hujson", "team-data.hujson", "team-platform.hujson"} <= read_files


def test_every_file_that_the_company_gives_away_exists():
    folder = ROOT / "examples" / "company"
    lines = (folder / "CODEOWNERS").read_text().splitlines()
    owned = [line.split()[0] for line in lines if not line.startswith("#")]
    assert len(owned) == 6
    assert all(any(folder.glob(pattern)) for pattern in owned)


@pytest.mark.parametrize("missing", ["", "edge-2"])
def test_the_assertions_of_the_company_hold_while_its_nodes_are_there(command, missing):
    users = (user(1, "alice"), user(2, "robert"), user(3, "eve"), user(4, "ci-bot"))
    tens = {"available": ["10.0.0.0/8"], "preauth_key": "7", "tags": ["tag:router"]}
    edges = [node(1, "edge-1", **tens), node(2, "edge-2", **tens)]
    data = {"preauth_key": "9", "tags": ["tag:db"]}
    nodes = [*edges, node(3, "db-1", **data), node(4, "phone", user="alice")]
    nodes.append(node(5, "tablet", user="eve"))
    left = [each for each in nodes if each.name != missing]
    Path("now.json").write_text(snapshot.dumps(live(users, left)))
    file = str(ROOT / "examples" / "company" / "tailnet.yaml")
    code, out, _ = command(
        "test", "-f", file, "--server", "prod", "--snapshot", "now.json"
    )
    assert (code, "3 of 3 assertions hold" in out) == (
        (7, False) if missing else (0, True)
    )
    assert ("1 of 2: node:edge-1" in out) is bool(missing)


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/**/*.yaml")), ids=str)
def test_editors_find_the_schema(file):
    first = file.read_text().partition("\n")[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == ROOT / "schemas" / "desired.schema.json"


def test_every_field_of_the_schema_is_described():
    whole = json.loads(schema.text("desired"))
    definitions = whole["$defs"]

    def described(part, where):
        resolved = part
        if "$ref" in part:
            resolved = {**definitions[part["$ref"].rpartition("/")[2]], **part}
        assert len(resolved.get("description", "")) > 15, where

    def walk(part, where):
        if isinstance(part, list):
            for item in part:
                walk(item, where)
        elif isinstance(part, dict):
            for name, below in part.get("properties", {}).items():
                described(below, f"{where}.{name}")
            for name, below in part.items():
                walk(below, f"{where}.{name}")

    walk(whole, "")


def test_every_object_of_the_schema_is_closed():
    whole = json.loads(schema.text("desired"))

    def walk(part, where):
        if isinstance(part, list):
            for item in part:
                walk(item, where)
        elif isinstance(part, dict):
            if "properties" in part and isinstance(part["properties"], dict):
                assert part.get("additionalProperties") is False, where
            for name, below in part.items():
                walk(below, f"{where}.{name}")

    walk({name: part for name, part in whole.items() if name != "examples"}, "")


def test_the_schema_is_a_schema():
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(json.loads(schema.text("desired")))


def test_the_examples_in_the_schema_are_valid():
    from jsonschema import Draft202012Validator

    whole = json.loads(schema.text("desired"))
    checked = 0

    def walk(part):
        nonlocal checked
        if isinstance(part, list):
            for item in part:
                walk(item)
        elif isinstance(part, dict):
            if isinstance(part.get("examples"), list):
                rules = {k: v for k, v in part.items() if k != "examples"}
                validator = Draft202012Validator({**rules, "$defs": whole["$defs"]})
                for example in part["examples"]:
                    validator.validate(example)
                    checked += 1
            for name, below in part.items():
                if name != "examples":
                    walk(below)

    walk(whole)
    assert checked > 30


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_validate_checks_every_server_and_lint_finds_nothing(command, folder):
    code, out, err = command("validate", "-f", str(folder / "tailnet.yaml"))
    # Assertions take users and nodes: a line says that nobody looked at them.
    said = [line for line in err.splitlines() if "were not run" not in line]
    assert (code, out.partition(":")[0], said) == (0, "Valid", [])
