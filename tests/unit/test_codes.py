"""One table of codes: every code in use is in it, and so is its documentation."""

import re
from pathlib import Path

from reconcile.codes import TITLES

ROOT = Path(__file__).parents[2]


def test_every_code_in_use_has_a_title_and_every_title_is_in_use():
    used = set()
    for file in (ROOT / "reconcile").rglob("*.py"):
        if file.name != "codes.py":
            used |= set(re.findall(r'"(RC[0-9]{4})"', file.read_text(encoding="utf-8")))
    assert sorted(used) == sorted(TITLES)


def test_the_page_of_findings_has_a_paragraph_for_each_code():
    page = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^### (RC[0-9]{4}): (.+)$", page, re.MULTILINE))
    assert documented == TITLES
    for section in page.split("\n### ")[1:]:
        assert len(section.partition("\n")[2].split()) > 5, section
