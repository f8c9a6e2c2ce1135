"""The recorded answers beside the repository, where they are at hand."""

import json
import os
from pathlib import Path

import policy_cases
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("RECONCILE_SHARED", ROOT.parent / "shared"))
CASES = SHARED / "policy-cases"
here = pytest.mark.skipif(
    not CASES.is_dir(), reason=f"no recorded answers in {CASES} (RECONCILE_SHARED)"
)


@here
def test_every_recorded_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert policy_cases.main([str(CASES)]) == 0
    said = capsys.readouterr().out
    assert " 0 failed" in said
    assert "with the server's words, 0 without" in said


@here
def test_a_wrong_answer_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = json.loads((CASES / "acl" / "acl-a02.json").read_text())
    filters = case["expect"]["filters"]
    name = next(node for node, rules in filters.items() if rules)
    filters[name][0]["dst"][0]["ports"] = [1, 1]
    (tmp_path / "case.json").write_text(json.dumps(case))
    assert policy_cases.main([str(tmp_path)]) == 1
    assert f"filter of {name}" in capsys.readouterr().out


@here
def test_wrong_words_are_counted_and_a_crash_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted((CASES / "grant").iterdir()):
        case = json.loads(file.read_text())
        if not case["expect"]["accepted"]:
            break
    case["expect"]["error"] = "something else"
    (tmp_path / "words.json").write_text(json.dumps(case))
    assert policy_cases.main([str(tmp_path)]) == 0
    assert "0 with the server's words, 1 without" in capsys.readouterr().out
    del case["topology"]
    case["expect"]["accepted"] = True
    (tmp_path / "crash.json").write_text(json.dumps(case))
    assert policy_cases.main([str(tmp_path)]) == 1
    assert "KeyError: 'topology'" in capsys.readouterr().out


def test_no_cases_is_no_success(tmp_path: Path) -> None:
    assert policy_cases.main([str(tmp_path)]) == 1
    assert policy_cases.main([]) == 64
