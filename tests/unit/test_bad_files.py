"""Bad files: each gives the code, the place and the words that help, no traceback."""

import os
from datetime import UTC, datetime

import pytest

from reconcile.desired import read
from reconcile.errors import InputError
from reconcile.report.diagnostics import render
from tests.unit.bad_files import BYTES, FORM, MEANING, POLICIES, VERSION, WARNINGS

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = "mkey:" + "0" * 64
POLICY = """{
  // who may use which tag
  "tagOwners": {"tag:router": ["group:admins"], "tag:storage": []},
  "groups": {"group:admins": ["alice@"]},
  "acls": [],
}
"""


def split(marked: str) -> tuple[str, int, int]:
    """Return the text without its mark, and the line and column of the mark."""
    before, _, after = marked.replace(
        "machine_key: KEY", f"machine_key: {KEY}"
    ).partition("|")
    return before + after, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.hujson").write_text(POLICY)
    (tmp_path / "teams.yaml").write_text("users: {}\n")
    return tmp_path


def findings_of(text: str | bytes, **options):
    data = text.encode() if isinstance(text, str) else text
    with open("tailnet.yaml", "wb") as handle:
        handle.write(data)
    environ = {"YES": "true"}
    try:
        states = read(["tailnet.yaml"], environ=environ, now=NOW, **options)
    except InputError as error:
        return error.diagnostics
    return states[0].warnings


def check(case, severity):
    marked, code, message, help = case
    text, line, column = split(marked)
    found = findings_of(text)
    assert [f.code for f in found] == [code], [str(f) for f in found]
    (finding,) = found
    assert finding.severity == severity
    assert message in finding.message
    assert help in f"{finding.why} {finding.help} {finding.label}"
    place = finding.position
    assert (place.file, place.line, place.column) == ("tailnet.yaml", line, column)
    assert code in render(found)


@pytest.mark.parametrize("name", FORM)
def test_form(name):
    check(FORM[name], "error")


@pytest.mark.parametrize("name", MEANING)
def test_meaning(name):
    check(MEANING[name], "error")


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name):
    check(WARNINGS[name], "warning")


@pytest.mark.parametrize("name", BYTES)
def test_encodings(name):
    data, line, column, message, help = BYTES[name]
    (finding,) = findings_of(data)
    assert finding.code == "RC0002"
    assert (finding.position.line, finding.position.column) == (line, column)
    assert message in finding.message
    assert help in finding.help


@pytest.mark.parametrize("name", POLICIES)
def test_policy_files(name, folder):
    data, code, place = POLICIES[name]
    (folder / "policy.hujson").write_bytes(data)
    (finding,) = findings_of(VERSION + "policy: {file: policy.hujson}\n")
    assert finding.code == code
    assert finding.position.file == "policy.hujson"
    assert (finding.position.line, finding.position.column) == place


def test_a_folder_without_files(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"the folder empty holds no \.yaml file"):
        read(["empty"], environ={})


def test_a_missing_file_proposes_its_neighbour(folder):
    with pytest.raises(InputError) as caught:
        read(["team.yaml"], environ={})
    (finding,) = caught.value.diagnostics
    assert "there is no such file" in finding.message
    assert finding.help == "did you mean teams.yaml?"
    assert str(finding.position) == "team.yaml:1:1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder):
    (folder / "secret.yaml").write_text(VERSION)
    (folder / "secret.yaml").chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read(["secret.yaml"], environ={})


def test_permission_denied_is_told(monkeypatch):
    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError) as caught:
        read(["policy.hujson"], environ={})
    (finding,) = caught.value.diagnostics
    assert finding.message == "cannot read policy.hujson: permission denied"
    assert finding.help == "make it readable: chmod u+r policy.hujson"


def test_a_device_is_not_read():
    with pytest.raises(InputError, match="it is a device, not a file"):
        read(["/dev/zero"], environ={})


@pytest.mark.parametrize(
    "garbage",
    [b"x" * 10_000_000, b"[" * 10_000_000, b"a: " * 3_000_000, b"- " * 5_000_000],
    ids=["letters", "brackets", "colons", "dashes"],
)
def test_ten_megabytes_of_garbage(garbage):
    found = findings_of(garbage)
    assert found
    assert len(render(found)) < 2_000


def test_an_alias_bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 30):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    (finding,) = findings_of("\n".join(lines))
    assert finding.code == "RC0021"
    assert "far larger than it is" in finding.message


def test_an_alias_inside_itself():
    (finding,) = findings_of(VERSION + "policy: &a {acls: [*a]}\n")
    assert finding.code == "RC0021"


def test_everything_is_reported_in_one_run_in_the_order_of_lines(folder):
    (folder / "policy.hujson").write_text('{"acls": [}')
    found = findings_of(
        "version: 2\nuser: {}\nnodes:\n  tv: {tags: tag:a, exit_node: no}\n"
        "  My.TV: {match: {id: 1}}\nremoved:\npolicy: {file: policy.hujson}\n"
    )
    codes = [f.code for f in found if f.position.file == "tailnet.yaml"]
    assert codes == ["RC0008", "RC0005", "RC0007", "RC0007", "RC0113", "RC0003"]
    assert any(f.position.file == "policy.hujson" for f in found)


def test_one_mistake_does_not_hide_the_rest_of_its_entry():
    found = findings_of(
        VERSION
        + "nodes:\n  nas:\n    tags: [tag:A]\n    routes: {approve: [10.0.0.1]}\n"
    )
    assert [f.code for f in found] == ["RC0008", "RC0109"]


def test_secrets_are_in_no_message():
    secret = "hskey-api-0123456789abcdef"
    found = findings_of(
        VERSION + f"server: {{url: https://x, credentials: {{api_key: {secret}}}}}\n"
        f"users: {{alice: {{emial: {secret}}}}}\n"
        "nodes: {tv: {tags: ['${HEADSCALE_WORD}']}}\n"
    )
    for format in ("text", "json", "github", "gitlab", "sarif"):
        assert secret not in render(found, format)


def test_the_value_of_a_variable_is_in_no_message(monkeypatch):
    with open("tailnet.yaml", "w") as handle:
        handle.write(
            VERSION + "server: {url: '${HEADSCALE_WORD}'}\n"
            "users: {'${HEADSCALE_WORD}': {until: '${HEADSCALE_WORD}'}}\n"
            "nodes: {tv: {tags: ['${HEADSCALE_WORD}'], expiry: '${HEADSCALE_WORD}', "
            "routes: {approve: ['${HEADSCALE_WORD}'], mode: '${HEADSCALE_WORD}'}, "
            "match: {ip: '${HEADSCALE_WORD}', hostname: '*${HEADSCALE_WORD}'}}}\n"
        )
    with pytest.raises(InputError) as caught:
        read(["tailnet.yaml"], environ={"HEADSCALE_WORD": "S3CRET value"})
    assert len(caught.value.diagnostics) >= 7
    for format in ("text", "json", "github", "gitlab", "sarif"):
        assert "S3CRET" not in render(caught.value.diagnostics, format)


def test_a_variable_of_the_server_matters_only_to_who_connects():
    text = VERSION + "server: {url: '${HEADSCALE_URL}'}\n"
    (finding,) = findings_of(text)
    assert finding.code == "RC0009"
    assert findings_of(text, offline=True) == ()
