"""The plan of a pair, made from a snapshot of its first state: what people read."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from reconcile.plan import Plan
from reconcile.report import json_plan
from reconcile.session import Options, runs
from tests.contract.tailnets.edits import Pair, files


def make_plan(saved: str, pair: Pair) -> tuple[Plan, dict[str, Any]]:
    """Return the plan as `plan --snapshot` makes it, and the server's part of its JSON.

    Raises ReconcileError where the files cannot be planned at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**files(pair), "live.json": saved}.items():
            Path(folder, name).write_text(text)
        options = Options(
            (str(Path(folder, "tailnet.yaml")),),
            {},
            snapshot=str(Path(folder, "live.json")),
        )
        (run,), _ = runs(options)
        with closing(run):
            plan = run.plan()
    (told,) = json_plan.to_json([plan])["servers"]
    return plan, told
