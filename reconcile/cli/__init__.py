"""The command line: options, colour and exit codes; the work is done elsewhere.

Only click is imported here at the top. Each command imports what it needs, so that
`--help` and a wrong flag answer at once.
"""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from reconcile import __version__
from reconcile.cli import (
    access,
    options,
    read,
    rollback,
    simulate,
    tests,
    upgrade,
    validate,
    write,
)
from reconcile.cli.door import behind_door, tell_unexpected
from reconcile.cli.terminal import flags, print_diagnostics, print_error
from reconcile.errors import Exit, InputError, ReconcileError
from reconcile.live import interrupts
from reconcile.source import near


def main() -> NoReturn:
    """Run the command line and end the process with the right exit code."""
    # Collecting costs a third of a large plan; what runs for long turns it on again.
    gc.disable()
    sys.excepthook = tell_unexpected
    interrupts.listen()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it is closed, as by `>&-` in a shell
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    This is the only place where errors end: click's usage errors become 64, because
    2 means "changes present", and every ReconcileError brings its own code.
    """
    flags.reset()
    with behind_door(), near.bounded():
        try:
            return _run(arguments)
        except OSError as error:
            return _unprinted(error)


def _run(arguments: Sequence[str]) -> int:
    try:
        result = cli.main(list(arguments), prog_name="reconcile", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return Exit.ERROR
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe went away, as `| head` does, and click makes an exit of
        # that. It is no failure of a command that only prints.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        writes = {"apply", "rollback"} & {*arguments}
        return Exit.ERROR if writes else Exit.OK
    except InputError as error:
        print_diagnostics(error.diagnostics)
        return error.exit_code
    except ReconcileError as error:
        print_error(error)
        return error.exit_code
    return result if isinstance(result, int) else Exit.OK


_WHILE_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def _unprinted(error: OSError) -> int:
    """Tell that the output could not be written, as on a full disk.

    What could not be written is dropped: Python would try again at its end.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    message = f"the system refused: {error}"
    if error.errno in _WHILE_WRITING and not error.filename:
        message = f"cannot write the output: {error.strerror}"
    with suppress(OSError):
        print_error(ReconcileError(message))
    return Exit.ERROR


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 92}
)
@click.version_option(
    __version__, prog_name="reconcile", message="%(prog)s %(version)s"
)
@options.output
def cli() -> None:
    """Keep a tailnet's users, nodes and policy in git: plan, apply, find drift.

    Start with `reconcile import` on a live server. For a simulated one, begin with:
    reconcile simulate new --demo
    """


for _command in (
    read.import_,
    validate.validate,
    read.plan,
    write.apply,
    rollback.rollback,
    read.drift,
    read.show,
    access.access,
    tests.test,
    upgrade.upgrade,
    read.snapshot,
    read.doctor,
    read.schema,
    read.render,
    simulate.simulate,
):
    options.output(_command)
    cli.add_command(_command)
