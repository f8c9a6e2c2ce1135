"""Cases that a person can read: files, a live state, commands, and what they print.

Each folder of tests/cases is one, named for what it shows. To write the expected
output anew after a change that is meant: CASES=write pytest tests/test_cases.py
"""

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from reconcile import __version__

FOLDER = Path(__file__).parent / "cases"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@pytest.fixture
def run(tmp_path, command):
    """Copy a case away from git and run commands in it."""

    def call(name, arguments):
        shutil.copytree(FOLDER / name, tmp_path, dirs_exist_ok=True)
        return command(*arguments)

    return call


def compare(path, actual):
    if os.environ.get("CASES") == "write":
        path.write_text(actual)
    assert actual == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_text(run, name):
    transcript = []
    for line in (FOLDER / name / "args").read_text().splitlines():
        code, out, err = run(name, shlex.split(line))
        transcript += [f"$ reconcile {line}\n", out]
        if err:
            transcript += ["-- standard error --\n", err]
        transcript.append(f"-- exit code {code} --\n\n")
    text = "".join(transcript).replace(f"reconcile {__version__}", "reconcile VERSION")
    compare(FOLDER / name / "expected.txt", text)


@pytest.mark.parametrize(
    "name", [name for name in CASES if (FOLDER / name / "expected.json").exists()]
)
def test_json(run, name):
    first = (FOLDER / name / "args").read_text().splitlines()[0]
    _, out, _ = run(name, [*shlex.split(first), "--format", "json"])
    document = json.loads(out)
    document["tool"]["version"] = "VERSION"
    del document["digest"]  # it covers the version
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    compare(FOLDER / name / "expected.json", text)


def test_every_case_has_its_parts():
    for name in CASES:
        parts = {path.name for path in (FOLDER / name).iterdir()}
        assert {"tailnet.yaml", "live.json", "args", "expected.txt"} <= parts, name
