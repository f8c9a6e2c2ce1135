"""The plan of a pair, made from a snapshot of its first state: what people read."""

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from reconcile.cli import run
from reconcile.plan.plan import Plan
from reconcile.report import json_plan
from tests.contract.tailnets.edits import Pair, files


class Unplanned(Exception):
    """There is no plan; the text is what was printed instead."""


def make_plan(saved: str, pair: Pair) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of `plan --from`, and the server's part of its JSON.

    Raises Unplanned where the files cannot be planned at all.
    """
    printed, said = io.StringIO(), io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(said),
    ):
        for name, text in {**files(pair), "live.json": saved}.items():
            Path(name).write_text(text)
        run(("plan", "--from", "live.json", "--format", "json"))
    if not printed.getvalue().startswith("{"):
        raise Unplanned(said.getvalue().strip())
    (plan,) = json_plan.loads(printed.getvalue(), "plan")
    (told,) = json.loads(printed.getvalue())["servers"]
    return plan, told
