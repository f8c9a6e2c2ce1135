"""The command line: options, colour and exit codes; the work is done elsewhere.

Only click is imported here at the top. Each command imports what it needs, so that
`--help` and a wrong flag answer at once.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from reconcile import __version__
from reconcile.cli import access, options, read, simulate, tests, write
from reconcile.cli.terminal import flags, print_diagnostics, print_error
from reconcile.errors import Exit, InputError, ReconcileError


def main() -> NoReturn:
    """Run the command line and end the process with the right exit code."""
    gc.disable()  # a short program: collecting costs a third of a large plan
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    This is the only place where errors end: click's usage errors become 64, because
    2 means "changes present", and every ReconcileError brings its own code.
    """
    flags.reset()
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
        return Exit.ERROR if "apply" in arguments else Exit.OK
    except InputError as error:
        print_diagnostics(error.diagnostics)
        return error.exit_code
    except ReconcileError as error:
        print_error(error)
        return error.exit_code
    return result if isinstance(result, int) else Exit.OK


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 92}
)
@click.version_option(
    __version__, prog_name="reconcile", message="%(prog)s %(version)s"
)
@options.output
def cli() -> None:
    """Keep a tailnet's users, nodes and policy in git: plan, apply, find drift.

    Start with `reconcile import` on a live server, or with a simulated one:
    HEADSCALE_URL=simulator:world.json reconcile import
    """


for _command in (
    read.import_,
    read.validate,
    read.plan,
    write.apply,
    read.drift,
    read.show,
    access.access,
    tests.test,
    read.snapshot,
    read.doctor,
    read.schema,
    read.render,
    simulate.simulate,
):
    options.output(_command)
    cli.add_command(_command)
