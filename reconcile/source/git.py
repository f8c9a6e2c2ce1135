"""Git, as far as a run needs it: which commit the files are, and what was applied last.

The commit that was last applied to a server is a ref of its own, which `git push` and
`git fetch` carry like any other. Where there is no git, or no repository, nothing here
fails: there is just no commit.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from reconcile.errors import ReconcileError
from reconcile.source.programs import environment

_SHORT = 7
_OID = re.compile(r"[0-9a-f]{40,64}")
# What `git check-ref-format` forbids, and everything that would need quotes in a shell.
_NOT_IN_REFS = re.compile(r"[^A-Za-z0-9_.-]|^\.|\.(?=\.|lock$|$)")
# Reading must not write (a refreshed index), ask, or fetch what a clone leaves out.
_QUIETLY = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
}
# The files may be a stranger's: a folder among them that looks like a repository has a
# configuration of its own, and git runs the programs that a configuration names.
_RUNS_NOTHING = (
    "-c", "safe.bareRepository=explicit",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
)  # fmt: skip
# What git needs of the environment beside what every program gets.
_FOR_GIT = re.compile(
    r"GIT_CONFIG_\w+|GIT_(?:AUTHOR|COMMITTER)_\w+"
    r"|GIT_CEILING_DIRECTORIES|GIT_DISCOVERY_ACROSS_FILESYSTEM"
)
# Where a repository remembers, for itself alone, what a person gave leave to.
_LEAVE = "reconcile.allow"


def short(commit: str) -> str:
    """Return a commit's id as people know it."""
    return commit[:_SHORT]


def applied_ref(server: str) -> str:
    """Return the ref that holds the commit last applied to a server.

    Letters, digits and the inner dots of host names stay; the rest is percent-encoded,
    so that no two names share a ref and none breaks git's rules.
    """
    return f"refs/reconcile/{encoded(server)}/applied"


def backup_ref(server: str, name: str) -> str:
    """Return the ref that holds a backup of a server, a blob."""
    return f"refs/reconcile/{encoded(server)}/backup/{name}"


def encoded(server: str) -> str:
    """Return a server as a part of a ref or of a file's name, which it always fits."""
    return _NOT_IN_REFS.sub(lambda found: _percent(found[0]), server) or "%"


def _percent(character: str) -> str:
    encoded = character.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in encoded)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The commit that some files stand in: its full id, and whether they are as in it.

    `folder` is the top of the work tree.
    """

    folder: str
    commit: str
    edited: bool

    @property
    def label(self) -> str:
        """The short commit; `4f2c91a+edits` when files differ from it."""
        return short(self.commit) + "+edits" * self.edited

    def applied(self, *servers: str) -> tuple[dict[str, str], str]:
        """Return the commit last applied to each server that has one, by its full id.

        The second value says what is wrong with a ref that cannot be read, or "".
        Whether the clone has the commits is another question: see `Commit.present`.
        """
        refs = {applied_ref(server): server for server in servers}
        form = "--format=%(objectname) %(refname)"
        done = _run(self.folder, "for-each-ref", form, *refs)
        if done is None:
            return {}, "git does not answer"
        lines = (line.partition(" ") for line in done.stdout.splitlines())
        found = {refs[ref]: oid for oid, _, ref in lines if ref in refs}
        return found, " ".join(done.stderr.split())

    def at(self, commit: str) -> "Commit":
        """Return the files of a commit of this repository."""
        return Commit(Path(self.folder).resolve(), commit)

    def record(self, server: str) -> None:
        """Make this the commit last applied to a server.

        Raises ReconcileError when git refuses.
        """
        ref = applied_ref(server)
        done = _run(self.folder, "update-ref", "-m", "reconcile", ref, self.commit)
        if done is None or done.returncode:
            why = done.stderr.strip().splitlines() if done else []
            raise ReconcileError(f"git could not set {ref}: {' '.join(why[:1])}")


def installed() -> bool:
    """Tell whether there is a git at all."""
    return shutil.which("git") is not None


def backups(top: Path, server: str) -> list[str]:
    """Return the names of the backups that are kept of a server, the oldest first."""
    folder = backup_ref(server, "")
    found = _git(str(top), "for-each-ref", "--format=%(refname)", folder)
    return [ref.removeprefix(folder) for ref in found.splitlines()]


def backup(top: Path, server: str, name: str) -> str | None:
    """Return the text of a backup, None when there is none of that name."""
    done = _run(str(top), "cat-file", "blob", backup_ref(server, name))
    return done.stdout if done and done.returncode == 0 else None


def keep_backup(
    top: Path, server: str, name: str, text: str, *, instead_of: Iterable[str]
) -> None:
    """Keep a backup under a new name, and drop others.

    `text` is ASCII. Raises ReconcileError when git refuses; then all are as they were.
    """
    blob = _said(top, "hash-object", "-w", "--stdin", data=text).strip()
    lines = [f"delete {backup_ref(server, each)}\n" for each in instead_of]
    lines.append(f"create {backup_ref(server, name)} {blob}\n")
    _said(top, "update-ref", "--stdin", data="".join(lines))


def _said(top: Path, *arguments: str, data: str) -> str:
    """Return what git answers to `data`. Raises ReconcileError when it refuses."""
    done = _run(str(top), *arguments, data=data)
    if done is None:
        raise ReconcileError("git does not answer")
    if done.returncode:
        why = done.stderr.strip().splitlines()
        raise ReconcileError(f"git refuses: {' '.join(why[:1])}")
    return done.stdout


def allowed(top: Path) -> frozenset[str]:
    """Return what the repository remembers that somebody gave leave to."""
    return frozenset(
        _git(str(top), "config", "--local", "--get-all", _LEAVE).splitlines()
    )


def allow(top: Path, mark: str) -> None:
    """Let the repository remember a leave; where git cannot, it is asked again."""
    _git(str(top), *_allowing(mark))


def allow_command(top: Path, mark: str) -> list[str]:
    """Return the command with which a person gives that leave."""
    here = written(".").is_relative_to(top)
    return ["git", *([] if here else ["-C", str(top)]), *_allowing(mark)]


def _allowing(mark: str) -> tuple[str, ...]:
    return "config", "--local", "--add", _LEAVE, mark


def checkout(paths: Iterable[str]) -> Checkout | None:
    """Return the commit that the files stand in, None outside of git.

    The repository is that of the first file, as its path is written: where a link
    leads is not asked.
    """
    files = [written(path) for path in paths]
    top = top_of(files[0]) if files else None
    if top is None:
        return None
    commit = _git(str(top), "rev-parse", "--verify", "--quiet", "HEAD")
    if not _OID.fullmatch(commit):
        return None
    with closing(Commit(top.resolve(), commit)) as head:
        edited = not all(head.holds(path) for path in files)
    return Checkout(str(top), commit, edited)


def written(path: str) -> Path:
    """Return an absolute path as it is written: where a link leads is not asked."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def top_of(path: Path) -> Path | None:
    """Return the folder above a file that has a `.git`, which no commit can hold.

    A link inside a repository leads to no other one.
    """
    tops = [folder for folder in path.parents if (folder / ".git").exists()]
    for top in tops:
        outermost = tops[-1]
        if top.resolve() == outermost.resolve() / top.relative_to(outermost):
            return top
    return None


def _git(folder: str, *arguments: str) -> str:
    """Return what git prints, "" when it fails or is not there."""
    done = _run(folder, *arguments)
    return done.stdout.strip() if done and done.returncode == 0 else ""


def _run(
    folder: str, *arguments: str, data: str = ""
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            _command(folder, *arguments),
            input=data,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None


def _command(folder: str, *arguments: str) -> list[str]:
    """Return the command line of a git that runs no other program."""
    return ["git", *_RUNS_NOTHING, "-C", folder, *arguments]


def _environment() -> dict[str, str]:
    """Return the environment for git: what it needs, and no secret."""
    own = [name for name in os.environ if _FOR_GIT.fullmatch(name.upper())]
    return {**environment(os.environ, own), **_QUIETLY}


class Commit:
    """The files of one commit, read without a checkout; a `text.Storage`.

    Paths are those of the work tree, relative or absolute. One git process serves
    them all; it starts with the first question and ends with `close`.
    """

    def __init__(self, top: Path, commit: str) -> None:
        self.commit = commit
        self._top = top
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the git process, if there is one."""
        if self._process is not None:
            with suppress(OSError):
                self._process.communicate()

    @property
    def present(self) -> bool:
        """Whether this clone has the commit: a shallow one may not."""
        return self._object("") is not None

    def holds(self, path: Path) -> bool:
        """Tell whether the commit has a file, and each link on its way, as on the disk.

        Line ends do not count: git may have changed them in the work tree. The files
        are compared here because `git status` runs filters.
        """
        links = (p for p in (path, *path.parents) if p.is_symlink())
        try:
            kept = all(
                self._as_written(link) == os.fsencode(os.readlink(link))  # noqa: PTH115
                for link in links
                if link.parent.resolve().is_relative_to(self._top)
            )
            return kept and _lines(self.read(str(path))) == _lines(path.read_bytes())
        except OSError:
            return False

    def _as_written(self, link: Path) -> bytes:
        """Return what stands at a path itself, not where it leads."""
        return self._at(str(link.parent.resolve()), link.name)[1]

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; raises OSError when it is none."""
        kind, data = self._at(path)
        if kind != "blob":
            raise IsADirectoryError(path)
        return data

    def is_folder(self, path: str) -> bool:
        """Tell whether a path is a folder of the commit."""
        try:
            return self._at(path)[0] == "tree"
        except OSError:
            return False

    def names(self, path: str) -> list[str]:
        """Return the names of what is in a folder; raises OSError when it is none."""
        kind, data = self._at(path)
        if kind != "tree":
            raise NotADirectoryError(path)
        return list(_names(data, len(self.commit) // 2))

    def _at(self, path: str, name: str = "") -> tuple[str, bytes]:
        """Return what stands at a path, or as `name` in that folder; else OSError."""
        try:
            inside = (Path(path).resolve().relative_to(self._top) / name).as_posix()
        except ValueError:
            raise FileNotFoundError(path) from None
        found = self._object("" if inside == "." else inside)
        if found is None:
            raise FileNotFoundError(path)
        return found

    def _object(self, inside: str) -> tuple[str, bytes] | None:
        """Return the type and the content of what stands at a path of the commit."""
        if "\n" in inside:
            return None  # the question is one line
        try:
            process = self._started()
            ask, answer = (
                cast(IO[bytes], process.stdin),
                cast(IO[bytes], process.stdout),
            )
            ask.write(f"{self.commit}:{inside}\n".encode("utf-8", "surrogateescape"))
            ask.flush()
        except OSError:  # git is gone
            return None
        head = answer.readline().split()
        if len(head) != 3 or head[1] not in (b"blob", b"tree"):
            return None
        data = answer.read(int(head[2]))
        answer.read(1)
        return head[1].decode(), data

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                _command(str(self._top), "cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        return self._process


def _lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _names(tree: bytes, width: int) -> Iterator[str]:
    """Yield the names in a tree object: `mode name NUL id`, again and again."""
    while tree:
        entry, _, rest = tree.partition(b"\0")
        yield os.fsdecode(entry.partition(b" ")[2])
        tree = rest[width:]
