"""Every remedy that is printed is made, and does what it says and nothing else."""

from pathlib import Path

import pytest

from reconcile.remedies import Drop
from tests.remedies import make
from tests.support import live, node, user
from tests.unit.bad_files import FORM, MEANING, WARNINGS
from tests.unit.test_bad_files import POLICY, findings_of, split

TABLE = {**FORM, **MEANING, **WARNINGS}
# A tailnet in which the files of the table could do harm.
STATE = live(
    [user(1, "alice"), user(2, "bob")],
    [
        node(1, "tv", tags=["tag:router"], approved=["10.0.0.0/8", "::/0"]),
        node(2, "nas", approved=["10.0.0.0/8"], user="alice"),
    ],
    POLICY,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.hujson").write_text(POLICY)
    (tmp_path / "teams.yaml").write_text("users: {}\n")
    return tmp_path


def test_the_table_offers_many_remedies(folder):
    offered = sum(
        len(found.ways)
        for marked, *_ in TABLE.values()
        for found in findings_of(split(marked)[0])
    )
    assert offered > 60


@pytest.mark.parametrize("name", TABLE)
def test_bad_files(name, folder):
    text, _, _ = split(TABLE[name][0])
    for finding in findings_of(text):
        for way in finding.ways:
            findings_of(text)  # write the file anew
            assert all(str(edit) in finding.help for edit in way if not _dropped(edit))
            make(way, finding)
            after = findings_of(Path("tailnet.yaml").read_text())
            assert [str(f) for f in after if f.code not in _WISHED] == [], way


# What the file itself asked for, told once it can be read.
_WISHED = {"RC0207"}


def _dropped(edit):
    return isinstance(edit, Drop)
