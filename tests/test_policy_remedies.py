"""Every edit of a policy that a finding offers is made: in words and in a tailnet."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from reconcile.errors import InputError
from reconcile.policy.access.difference import diff
from reconcile.policy.reading.reception import receive
from reconcile.remedies import Cut, Reword
from reconcile.review.lint import of_scene, of_words
from reconcile.review.state import Scene, read_words, written
from reconcile.source import hujson
from tests.contract.validity.cases import CASES
from tests.remedies import make
from tests.support import server, tailnet
from tests.unit.test_lint import IN_THE_TAILNET, IN_WORDS, NODES, USERS

FILE = Path("policy.hujson")
WORDS = {
    **CASES,
    **{name: json.dumps(value) for name, (value, _) in IN_WORDS.items()},
    "names that are like none": (
        '{"acls": [{"action": "accept", "src": ["group:quux", "zanzibar"], '
        '"dst": ["tag:xylophone:22", "wombat:80"]}]}'
    ),
    "two near misses": '{"acls": [], "group": {"group:a": []}, "tagowners": {}}',
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def in_words(text):
    """Return what is found in the words alone, [] where the text cannot be read."""
    FILE.write_text(text)
    try:
        words = written(text, str(FILE))
    except InputError:
        return []
    return of_words(words, receive(words.value))


def scene_of(text):
    FILE.write_text(text)
    words = written(text, str(FILE))
    return Scene(read_words(words, server()), tailnet(USERS, NODES), words)


def counted(findings):
    return Counter((each.code, each.message) for each in findings)


def told(way, help):
    return all(isinstance(edit, Cut) or edit.new in help for edit in way)


def ways_of(findings):
    return [(finding, way) for finding in findings for way in finding.ways]


DECLARE = re.compile(r'declare ("[^"]+") in (\w+)')
OWNERS = re.compile(r'add ((?:"tag:[^"]+": \[\](?:, )?)+) to (tagOwners)')
EMPTY = {"tagOwners": [], "groups": [], "hosts": "100.64.0.1"}


def declared(finding):
    """Yield the section and the members that a help text asks to declare."""
    for name, section in DECLARE.findall(finding.help):
        yield section, {json.loads(name): EMPTY[section]}
    for members, section in OWNERS.findall(finding.help):
        yield section, json.loads(f"{{{members}}}")


def paste(text, section, members):
    value = hujson.parse(text).value
    key = next((k for k in value if k.lower() == section.lower()), section)
    return json.dumps({**value, key: {**(value.get(key) or {}), **members}})


def test_what_is_to_be_declared_takes_the_finding_away(wanted):
    made, nothing = 0, wanted("users: {}")
    texts = [(text, in_words) for text in WORDS.values()]
    texts += [
        (json.dumps(value), lambda text: of_scene(scene_of(text), nothing))
        for value, _ in IN_THE_TAILNET.values()
    ]
    for text, findings in texts:
        before = findings(text)
        for finding in before:
            for each in declared(finding):
                key = finding.code, finding.message
                after = counted(findings(paste(text, *each)))
                assert after[key] < counted(before)[key], (text, each)
                made += 1
    assert made > 3


@pytest.mark.parametrize("name", WORDS)
def test_an_edit_of_the_words_takes_its_finding_away(name):
    before = in_words(WORDS[name])
    for finding, way in ways_of(before):
        FILE.write_text(WORDS[name])
        assert told(way, finding.help), finding.help
        make(way, finding)
        text = FILE.read_text()
        hujson.parse(text)
        key = finding.code, finding.message
        after = in_words(text)
        assert counted(after)[key] < counted(before)[key], way
        if isinstance(way[0], Cut):
            wrong = {each.code for each in after if each.severity == "error"}
            assert wrong <= {each.code for each in before if each.severity == "error"}


def test_many_edits_are_offered():
    offered = [w for text in WORDS.values() for _, w in ways_of(in_words(text))]
    kinds = Counter(type(edit) for way in offered for edit in way)
    assert kinds[Reword] > 20
    assert kinds[Cut] > 5


@pytest.mark.parametrize("name", IN_THE_TAILNET)
def test_an_edit_in_a_tailnet_moves_no_access(name, wanted):
    text = json.dumps(IN_THE_TAILNET[name][0])
    scene = scene_of(text)
    nothing = wanted("users: {}")
    before = of_scene(scene, nothing)
    for finding, way in ways_of(before):
        FILE.write_text(text)
        make(way, finding)
        after = scene_of(FILE.read_text())
        key = finding.code, finding.message
        found = counted(of_scene(after, nothing))
        assert found[key] < counted(before)[key], way
        assert not diff((scene.policy, scene.tailnet), (after.policy, after.tailnet))
