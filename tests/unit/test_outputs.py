"""Where results go: files, links, devices, standard output, a full disk."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading

import pytest

from reconcile.source.disk import overwrite
from tests.unit.test_cli import ROOT, SAME, WORLD, write  # noqa: F401

FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


def run_program(folder, command, **more):
    """Run the program in a shell of its own, with its real standard output."""
    environ = {**os.environ, "HEADSCALE_URL": "simulator:world.json", **more}
    environ["PYTHONPATH"] = str(ROOT)
    program = f"{sys.executable} -m reconcile"
    return subprocess.run(
        ["sh", "-c", command.replace("reconcile", program)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "-o"),
        ("plan", "--out"),
        ("render", "policy", "-o"),
        ("test", "--junit"),
    ],
)
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_dash_is_standard_output(write, command, tmp_path, arguments, name):  # noqa: F811
    write(SAME + "policy: { acls: [] }\n")
    code, _, err = command(*arguments, "result")
    expected = (tmp_path / "result").read_text()
    before = sorted(os.listdir(tmp_path))
    done = run_program(tmp_path, f"reconcile {' '.join(arguments)} {name}")
    assert (code, done.returncode) == (0, 0), err + done.stderr
    assert done.stdout.splitlines()[:2] == expected.splitlines()[:2]
    assert done.stdout.splitlines()[-1] == expected.splitlines()[-1]
    assert sorted(os.listdir(tmp_path)) == before


def test_the_text_of_a_plan_makes_way_for_its_json(write, tmp_path):  # noqa: F811
    write()
    done = run_program(tmp_path, "reconcile plan --out -")
    assert json.loads(done.stdout)["summary"]["add"] == 1
    assert "+ user:bob" in done.stderr
    alone = run_program(tmp_path, "reconcile plan --format json --out -")
    assert json.loads(alone.stdout)["summary"]["add"] == 1


def test_dev_stdout_does_not_write_over_what_stands_in_its_file(write, tmp_path):  # noqa: F811
    write()
    run_program(tmp_path, "(echo first; reconcile snapshot -o /dev/stdout) > all")
    text = (tmp_path / "all").read_text()
    assert text.startswith("first\n{")


def test_a_pipe_is_written_through(write, command, tmp_path):  # noqa: F811
    write()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert command("snapshot", "-o", "pipe")[0] == 0
    reader.join(10)
    assert json.loads(read[0])["users"][0]["name"] == "alice"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_a_device_swallowed_cannot_be_applied_from_there(write, command):  # noqa: F811
    write()
    code, _, err = command("plan", "--out", "/dev/null")
    assert code == 0
    assert "reconcile apply FILE" in err
    assert "/dev/null" not in err


def test_links_are_followed_and_permissions_stay(write, command, tmp_path):  # noqa: F811
    write()
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "new").symlink_to("not-yet")
    for name in ("link", "new"):
        assert command("plan", "--out", name)[0] == 0
        assert (tmp_path / name).is_symlink()
    assert json.loads((tmp_path / "real").read_text())["has_changes"]
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o600
    assert (tmp_path / "not-yet").exists()


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize("umask", ["022", "077", "002"])
def test_new_files_heed_the_umask_and_states_are_private(write, tmp_path, umask):  # noqa: F811
    write(SAME + "policy: { acls: [] }\n")
    commands = (
        "snapshot -o private-1",
        "plan --out private-2",
        "simulate new --demo --world private-3",
        "render policy -o shared-1",
        "test --junit shared-2",
    )
    script = "; ".join(f"reconcile {line}" for line in commands)
    done = run_program(tmp_path, f"umask {umask}; {script}; touch shared-3")
    modes = {name: mode(tmp_path / name) for name in os.listdir(tmp_path)}
    assert {modes[f"private-{n}"] for n in (1, 2, 3)} == {"0o600"}, done.stderr
    assert {modes[f"shared-{n}"] for n in (1, 2)} == {modes["shared-3"]}


@pytest.mark.parametrize("kept", [0o640, 0o444, 0o666])
def test_the_mode_that_was_there_stays(write, command, tmp_path, kept):  # noqa: F811
    write()
    for name in ("result", "world.json"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(kept)
    assert command("snapshot", "-o", "result")[0] == 0
    assert command("apply", "--auto-approve")[0] == 0
    assert mode(tmp_path / "result") == mode(tmp_path / "world.json") == oct(kept)


@pytest.mark.parametrize(
    ("line", "size"),  # in blocks of 512 bytes
    [
        ("snapshot -o result", 1),
        ("plan --out result", 1),
        ("render policy -o result", 0),
        ("test --junit result", 0),
        ("simulate new --demo --world result", 1),
    ],
)
def test_a_full_disk_leaves_no_half_file(write, tmp_path, line, size):  # noqa: F811
    folder = tmp_path / "in"
    folder.mkdir()
    write(SAME + "policy: { acls: [] }\n")
    for name in ("tailnet.yaml", "world.json"):
        (tmp_path / name).rename(folder / name)
    before = sorted(os.listdir(folder))
    done = run_program(folder, f"ulimit -f {size}; reconcile {line}")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    after = [name for name in os.listdir(folder) if not name.endswith(".lock")]
    assert sorted(after) == before


@pytest.mark.parametrize("number", [3, 4])  # two are of the files that prove it
def test_a_disk_that_is_full_at_last_leaves_no_import(
    write,  # noqa: F811
    command,
    tmp_path,
    monkeypatch,
    number,
):
    write(SAME + "policy: { acls: [] }\n")
    command("apply", "--auto-approve")
    calls = []

    def full(_):
        calls.append(1)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = command("import", "-o", "new")
    assert (code, len(calls)) == (1, number)
    assert err.startswith("error: cannot write new/")
    assert os.listdir(tmp_path / "new") == []


def test_a_world_behind_a_link_is_changed_in_its_place(write, command, tmp_path):  # noqa: F811
    write()
    (tmp_path / "world.json").rename(tmp_path / "real.json")
    (tmp_path / "world.json").symlink_to("real.json")
    assert command("apply", "--auto-approve")[0] == 0
    assert (tmp_path / "world.json").is_symlink()
    assert len(json.loads((tmp_path / "real.json").read_text())["users"]) == 2


def test_what_cannot_be_a_file(write, command, tmp_path):  # noqa: F811
    write()
    (tmp_path / "loop").symlink_to("loop")
    for name, why in (("loop", ""), (".", "directory"), ("no/file", "No such file")):
        code, _, err = command("snapshot", "-o", name)
        assert code == 1
        assert err.startswith(f"error: cannot write {name}: ")
        assert why in err


def test_import_needs_a_folder(write, command, tmp_path):  # noqa: F811
    write()
    code, _, err = command("import", "-o", "-")
    assert (code, "name a folder with -o DIR" in err) == (64, True)
    assert not (tmp_path / "-").exists()


# -- a full disk -----------------------------------------------------------------------


@FULL
@pytest.mark.parametrize(
    "arguments", ["snapshot -o /dev/full", "plan --out /dev/full", "snapshot -o full"]
)
def test_a_full_device_is_an_error(write, command, tmp_path, arguments):  # noqa: F811
    write()
    (tmp_path / "full").symlink_to("/dev/full")
    code, _, err = command(*arguments.split())
    name = arguments.split()[-1]
    assert (code, err) == (
        1,
        f"error: cannot write {name}: No space left on device\n",
    )
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@FULL
@pytest.mark.parametrize(
    "command", ["plan", "validate", "schema", "plan --format json", "--help"]
)
def test_a_full_standard_output_is_an_error(write, tmp_path, command):  # noqa: F811
    write()
    done = run_program(tmp_path, f"reconcile {command} > /dev/full")
    assert done.returncode == 1
    message = "error: cannot write the output: No space left on device\n"
    assert done.stderr.endswith(message)
    assert "Traceback" not in done.stderr


@FULL
def test_a_full_standard_error_is_no_traceback(write, tmp_path):  # noqa: F811
    write("version: 1\nusers: null\n")
    done = run_program(tmp_path, "reconcile plan 2> /dev/full")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_traceback(write, tmp_path, closed):  # noqa: F811
    write()
    done = run_program(tmp_path, f"reconcile plan --check {closed}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_import_on_a_full_disk_leaves_no_file(tmp_path):
    (tmp_path / "world.json").write_text(json.dumps(WORLD))
    # The limit on the size of files stands for the disk: it ends a write half-way.
    limit = "trap '' XFSZ; ulimit -f 1; "
    policy = json.dumps({"acls": [], "groups": {f"group:g{i}": [] for i in range(90)}})
    world = {**WORLD, "policy": {**WORLD["policy"], "text": policy}}
    (tmp_path / "world.json").write_text(json.dumps(world))
    done = run_program(tmp_path, f"{limit} TMPDIR=$PWD reconcile import")
    assert done.returncode == 1, done.stdout
    assert "error: cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"world.json"}


def test_a_file_that_cannot_be_finished_is_not_left_empty(tmp_path, monkeypatch):
    from reconcile.errors import ReconcileError
    from reconcile.source import disk

    path = tmp_path / "tailnet.yaml"
    real = type(path).open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "open", lambda *given: Full(real(*given)))
    with pytest.raises(ReconcileError, match="No space left on device"):
        disk.create(path, b"version: 1\n")
    assert not path.exists()


def test_what_a_killed_run_left_is_swept_with_the_next_write(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".reconcile-{ended.pid}-0123abcd"
    running = tmp_path / f".reconcile-{os.getppid()}-0123abcd"
    huge = tmp_path / f".reconcile-{'9' * 30}-0123abcd"
    other = tmp_path / f".reconcile-{ended.pid}-notes"
    for path in (left, running, huge, other):
        path.write_text("half of")
    overwrite(tmp_path / "out.json", b"{}")
    assert {path.name for path in tmp_path.iterdir()} == {
        "out.json",
        running.name,
        other.name,
    }
