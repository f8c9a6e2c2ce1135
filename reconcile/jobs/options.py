"""What the global flags say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from reconcile.plan.plan import Asked

# Stands for --allow-commands, for pipelines.
ALLOW = "RECONCILE_ALLOW_COMMANDS"


@dataclass(frozen=True, slots=True)
class Options:
    """What the global flags say.

    `ask` shows a person a question and returns whether the answer is yes; it is None
    where nobody is there. `api_key_file` is where the API key is, whatever the files
    say of it.
    """

    files: tuple[str, ...]
    environ: Mapping[str, str]
    server: str | None = None
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    snapshot: str | None = None
    theirs: bool = False
    single_policy_write: bool = False
    rollback: tuple[str, ...] = ()
    timeout: float | None = None
    parallelism: int = 32
    max_answer: int | None = None
    release: str | None = None
    allow_commands: bool = False
    api_key_file: str | None = None
    ask: Callable[[str], bool] | None = None

    @property
    def asked(self) -> Asked:
        """What a plan is asked for with, without what is only about the way there."""
        return Asked(*(getattr(self, field.name) for field in fields(Asked)))

    @property
    def allows_all(self) -> bool:
        """Whether everything that the files name may be run and connected to."""
        return self.allow_commands or self.environ.get(ALLOW) == "1"

    @property
    def way(self) -> tuple[str, ...]:
        """The options about the way to the server, for commands that are printed."""
        file = ("--api-key-file", self.api_key_file) if self.api_key_file else ()
        return (*["--allow-commands"] * self.allow_commands, *file)
