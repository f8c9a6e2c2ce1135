"""The documentation says what the program has: links, commands, exit codes, fields.

`DOCS=write script/test tests/test_docs.py` writes the page of fields anew.
"""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from reconcile.cli import cli
from reconcile.errors import Exit
from tests.commands import parsed

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("*.md"))
PAGES += sorted((ROOT / "docs").rglob("*.md"))
FIELDS = ROOT / "docs" / "reference" / "fields.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^ *```(sh|console)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the names under which the headings of a page can be linked to."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in _LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands(page):
    """Yield the command lines of ours in the blocks of a page."""
    for form, block in _BLOCK.findall(page.read_text()):
        for line in block.splitlines():
            prompt, found, words = line.strip().partition("reconcile ")
            if found and prompt == ("$ " if form == "console" else ""):
                yield shlex.split(words, comments=True)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=f"{page.name} {' '.join(words)}")
        for page in PAGES
        for words in commands(page)
    ],
)
def test_commands_are_what_the_program_takes(words):
    assert parsed(words)


def test_every_command_is_in_the_table():
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    table = page.partition("\n\n`--target")[0]
    told = {word.split()[0] for word in re.findall(r"^\| `(\w[^`]*)`", table, re.M)}
    assert told == set(cli.commands)


def test_every_exit_code_is_in_the_table():
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert told == {int(code) for code in Exit}


def test_every_page_is_on_the_map():
    page = ROOT / "docs" / "README.md"
    linked = {
        (page.parent / link).resolve() for link in _LINK.findall(page.read_text())
    }
    pages = {path for path in PAGES if path.is_relative_to(page.parent)} - {page}
    assert pages <= linked


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


# The page of fields, made from the schema.


def _fields(schema, part, path=""):
    """Yield path and description of each field below a part of the schema."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]] | part
    for name, field in part.get("properties", {}).items():
        inner = field
        if "$ref" in field:
            inner = schema["$defs"][field["$ref"].rpartition("/")[2]] | field
        yield f"{path}{name}", inner["description"]
        yield from _fields(schema, inner, f"{path}{name}.")
    for name, wild in (("additionalProperties", "NAME."), ("items", "[].")):
        if isinstance(part.get(name), dict):
            yield from _fields(schema, part[name], f"{path.rstrip('.')}.{wild}")
    for name in ("oneOf", "anyOf", "allOf"):
        for each in part.get(name, ()):
            yield from _fields(schema, each, path)
    for name in ("then", "else"):
        if name in part:
            yield from _fields(schema, part[name], path)


def fields_page():
    """Return the text of the page: each field once, overlays without their inside."""
    schema = json.loads((ROOT / "schemas" / "desired.schema.json").read_text())
    lines = [
        "# Fields",
        "",
        "Made from the schema (`reconcile schema`). `NAME` stands for a name that you "
        "choose, `[]` for each item of a list.",
        "",
        "| Field | What it says |",
        "|---|---|",
    ]
    told = {}
    for path, description in _fields(schema, schema):
        if not path.startswith(("overlays.", "servers.")):
            told.setdefault(path.replace("..", ".").replace(".[]", "[]"), description)
    lines += [f"| `{path}` | {text.replace('|', '¦')} |" for path, text in told.items()]
    return "\n".join([*lines, ""])


def test_the_page_of_fields_is_that_of_the_schema():
    if os.environ.get("DOCS") == "write":
        FIELDS.write_text(fields_page())
    assert FIELDS.read_text() == fields_page()
