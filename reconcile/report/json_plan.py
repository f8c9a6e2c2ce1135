"""The JSON plan: what CI reads, and what `plan --out` saves and `apply` loads.

Its shape is promised by schemas/plan.schema.json: unknown properties may appear in
minor versions, a new major is announced. It holds no secret.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from reconcile import __version__
from reconcile.errors import WRONG_SHAPE, Diagnostic, Related, not_ours
from reconcile.kinds import KINDS
from reconcile.live.headscale.releases import CAPABILITIES
from reconcile.model import ServerInfo, instant
from reconcile.plan.changes import (
    Action,
    Change,
    OneWay,
    Origin,
    Pending,
    PolicyChange,
    PolicyItem,
    Replaced,
    Unlisted,
)
from reconcile.plan.order import steps
from reconcile.plan.plan import Asked, Failed, Plan, digest
from reconcile.plan.stale import fingerprint
from reconcile.report import effect
from reconcile.report.effect import place_from_json, place_json
from reconcile.report.safe import safe_lines
from reconcile.source.text import from_json

if TYPE_CHECKING:
    from reconcile.review.tests import Checks

FORMAT = "1.0"


def to_json(
    plans: Sequence[Plan],
    command: str = "plan",
    failed: Sequence[Failed] = (),
    members: bool = False,
) -> dict[str, Any]:
    """Return the plan document for one or more servers; `failed` have no plan.

    With `members` lines of access have the nodes behind their names.
    """
    first = plans[0]
    return {
        "format_version": FORMAT,
        "tool": {"name": "reconcile", "version": __version__},
        "command": command,
        "created_at": instant(max(plan.taken_at for plan in plans)),
        "source": {
            "files": [{"path": p, "sha256": digest} for p, digest in first.files],
            "commit": first.commit,
            "base": first.base,
        },
        # Only a plan towards a backup has `rollback`.
        "asked": {
            name: value
            for name, value in asdict(first.asked).items()
            if value or name != "rollback"
        },
        "servers": [_server(plan, members) for plan in plans],
        "failed": [_failed(one) for one in failed],
        "summary": summary(plans),
        "origins": origins(plans),
        "has_changes": any(plan.changes for plan in plans),
        "errored": bool(failed) or any(plan.errors for plan in plans),
        "checksum": checksum(plans),
    }


def dumps(
    plans: Sequence[Plan],
    command: str = "plan",
    failed: Sequence[Failed] = (),
    members: bool = False,
) -> str:
    """Return the plan document as text, one final newline; see `to_json`."""
    document = to_json(plans, command, failed, members)
    return write({**document, "digest": digest(document)})


def write(document: dict[str, Any]) -> str:
    """Return a document as text that cannot steer a terminal."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return safe_lines(text) + "\n"


def checksum(plans: Sequence[Plan]) -> str:
    """Return the checksum over all servers' changes."""
    if len(plans) == 1:
        return plans[0].checksum
    joined = "\n".join(f"{plan.name} {plan.checksum}" for plan in plans)
    return "rc1:" + sha256(joined.encode()).hexdigest()[:12]


def summary(plans: Sequence[Plan]) -> dict[str, int]:
    """Return the counts of the last line: add, change, rename, remove, pending."""
    count = {
        "add": Action.CREATE,
        "change": Action.UPDATE,
        "rename": Action.RENAME,
        "remove": Action.DELETE,
    }
    found = {key: sum(plan.count(a) for plan in plans) for key, a in count.items()}
    found["pending"] = sum(len(plan.pending) for plan in plans)
    found["blocked"] = sum(len(plan.blocked) for plan in plans)
    return found


def origins(plans: Sequence[Plan]) -> dict[str, int]:
    """Return how many changes have which origin, and how much has converged.

    What the server cannot make so, and nodes that are not there, count as well.
    """
    found = [c.origin for plan in plans for c in (*plan.changes, *plan.stuck)]
    found += [p.origin for plan in plans for p in plan.pending if p.policy != "ok"]
    counts = {str(origin): found.count(origin) for origin in Origin}
    return {**counts, "converged": sum(len(plan.converged) for plan in plans)}


def _failed(one: Failed) -> dict[str, Any]:
    return {
        "name": one.name,
        "url": one.url,
        "error": str(one.error),
        "help": one.error.hint,
        "exit_code": int(one.error.exit_code),
    }


def _server(plan: Plan, members: bool) -> dict[str, Any]:
    return {
        "name": plan.name,
        "type": plan.server.type,
        "version": plan.server.version,
        "release": plan.server.release,
        "url": plan.server.url,
        "taken_at": instant(plan.taken_at),
        "policy_mode": plan.policy_mode,
        "policy_bytes": plan.policy_bytes,
        "capabilities": {
            name.replace(".", "_"): not plan.server.lacks(name) for name in CAPABILITIES
        },
        "counts": plan.counts,
        "base": plan.base,
        "changes": _changes(plan),
        "stuck": [_change(change, []) for change in plan.stuck],
        "converged": [{"address": a, "field": f} for a, f in plan.converged],
        "policy": _policy(plan),
        "access": effect.as_json(plan.access, members),
        **_checks(plan),
        "pending": [_pending(pending) for pending in plan.pending],
        "replaced": [_replaced(replaced) for replaced in plan.replaced],
        "unmanaged": [asdict(unlisted) for unlisted in plan.unlisted],
        "notes": list(plan.notes),
        "left_out": plan.limited,
        "diagnostics": [diagnostic_json(d) for d in plan.diagnostics],
    }


def _checks(plan: Plan) -> dict[str, Any]:
    """Return tests and assertions; null tells that none were run."""
    if plan.checks is None:
        return {"tests": None, "asserts": None}
    from reconcile.report import tests

    return {
        "tests": tests.list_json(plan.checks.tests),
        "asserts": tests.list_json(plan.checks.asserts),
    }


def _changes(plan: Plan) -> list[dict[str, Any]]:
    order: dict[str, list[Any]] = {}
    for step in steps(plan.changes):
        order.setdefault(step.operation.address, []).append(step)
    return [_change(change, order.get(change.address, [])) for change in plan.changes]


def _change(change: Change, ordered: list[Any]) -> dict[str, Any]:
    waits = dict.fromkeys(w for step in ordered for w in step.waits_for)
    return {
        "address": change.address,
        "kind": change.kind,
        "action": str(change.action),
        "server_id": change.server_id,
        "source": place_json(change.position),
        "before": change.before,
        "after": change.after,
        "fields": list(_fields(change)),
        "origin": str(change.origin),
        "applied": change.applied,
        "reason": change.reason,
        "notes": dict(change.notes),
        "irreversible": [_one_way(way) for way in change.irreversible],
        "caveats": list(change.caveats),
        "blocked_by": [change.blocked] if change.blocked else [],
        "sensitive": [],
        "bridge": change.bridge,
        "fingerprint": fingerprint(change),
        "depends_on": list(waits),
        "phase": int(ordered[0].phase) if ordered else 0,
    }


def _fields(change: Change) -> Any:
    """Yield what happens to each field: values added, removed, or set."""
    for name, after in change.after.items():
        if name == "text":
            continue
        before, origin = change.before.get(name), str(change.origin_of(name))
        of = {"path": name, "origin": origin}
        if isinstance(after, list):
            old = before or []
            for op, values in (
                ("add", [v for v in after if v not in old]),
                ("remove", [v for v in old if v not in after]),
            ):
                yield from ({**of, "op": op, "value": v} for v in values)
        else:
            yield {**of, "op": "set", "value": after, "before": before}


def _one_way(way: OneWay) -> dict[str, str]:
    return {**asdict(way), "summary": str(way)}


def _policy(plan: Plan) -> dict[str, Any] | None:
    change = next((c for c in plan.changes if c.kind == "policy"), None)
    if change is None or change.policy is None:
        return None
    told = change.policy
    return {
        "before_sha256": _sha(change.before.get("text")),
        "after_sha256": _sha(change.after.get("text")),
        "semantic": [_item(item) for item in told.items],
        "drifted": [_item(item) for item in told.drifted],
        "moved": [_item(item) for item in told.moved],
        "unchanged_rules": told.unchanged,
        "changed_lines": told.lines,
        "formatting_only": told.formatting_only,
        "first": told.first,
        "warnings": list(told.warnings),
        "delivery": told.delivery,
        "tests": _tests(plan),
    }


def _tests(plan: Plan) -> dict[str, int] | None:
    if plan.checks is None:
        return None
    passed = sum(check.passed for check in plan.checks.tests)
    return {"passed": passed, "failed": len(plan.checks.tests) - passed}


def _sha(text: str | None) -> str | None:
    return None if text is None else sha256(text.encode()).hexdigest()


def _item(item: PolicyItem) -> dict[str, Any]:
    return {
        "op": item.effect if item.op == "change" else item.op,
        "kind": item.op,
        "rule": item.subject,
        "effect": item.effect,
        "summary": item.title,
        "changes": list(item.changes),
        "line": item.position.line if item.position else None,
        "source": place_json(item.position),
        "detail": dict(item.detail),
    }


def _pending(pending: Pending) -> dict[str, Any]:
    return {
        "address": pending.address,
        "source": place_json(pending.position),
        "settings": pending.settings,
        "pending": pending.policy,
        "hint": pending.hint,
        "origin": str(pending.origin),
    }


def _replaced(replaced: Replaced) -> dict[str, Any]:
    return {
        "address": replaced.address,
        "source": place_json(replaced.position),
        "server_id": replaced.server_id,
        "name": replaced.name,
        "alike": dict(replaced.alike),
        "match": replaced.match,
    }


def diagnostic_json(finding: Diagnostic) -> dict[str, Any]:
    """Return a finding as JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "source": place_json(finding.position),
        "label": finding.label,
        "why": finding.why,
        "help": finding.help,
        "address": finding.address,
        "related": [
            {"source": place_json(r.position), "label": r.label}
            for r in finding.related
        ],
    }


# -- loading -----------------------------------------------------------------------


def loads(text: str, path: str) -> tuple[Plan, ...]:
    """Return the plans of a saved plan. Raises InputError when it is none."""
    try:
        document = from_json(text)
        if not isinstance(document, dict):
            raise TypeError
        if document["format_version"].split(".")[0] != FORMAT.split(".")[0]:
            raise ValueError("it was saved by another major version")
        if document.pop("digest") != digest(document):
            raise ValueError("it was edited after it was saved")
        source = document["source"]
        files = tuple((f["path"], f["sha256"]) for f in source["files"])
        asked = _load_asked(document["asked"])
        plans = tuple(
            replace(_load_server(entry, files, source["commit"]), asked=asked)
            for entry in document["servers"]
        )
        if checksum(plans) != document["checksum"]:
            raise ValueError("its changes were edited after it was saved")
        return plans
    except WRONG_SHAPE as error:
        remedy = "make one with: reconcile plan --out FILE"
        raise not_ours("RC0029", "plan", path, error, remedy) from None


def _load_asked(entry: dict[str, Any]) -> Asked:
    lists = {key: tuple(v) for key, v in entry.items() if isinstance(v, list)}
    return Asked(**{**entry, **lists})


def _load_server(
    entry: dict[str, Any], files: tuple[tuple[str, str], ...], commit: str
) -> Plan:
    lacking = {
        name: "it could not when this was planned"
        for name in CAPABILITIES
        if not entry["capabilities"][name.replace(".", "_")]
    }
    info = ServerInfo(
        entry["type"], entry["url"], entry["version"], entry["release"], lacking
    )
    policy = _load_policy(entry["policy"])
    return Plan(
        name=entry["name"],
        server=info,
        taken_at=datetime.fromisoformat(entry["taken_at"]),
        files=files,
        counts=entry["counts"],
        commit=commit,
        policy_mode=entry["policy_mode"],
        policy_bytes=entry["policy_bytes"],
        changes=tuple(_load_change(c, policy) for c in entry["changes"]),
        stuck=tuple(_load_change(c, None) for c in entry["stuck"]),
        pending=tuple(_load_pending(p) for p in entry["pending"]),
        replaced=tuple(_load_replaced(r) for r in entry["replaced"]),
        unlisted=tuple(Unlisted(**u) for u in entry["unmanaged"]),
        notes=tuple(entry["notes"]),
        diagnostics=tuple(_load_diagnostic(d) for d in entry["diagnostics"]),
        limited=entry["left_out"],
        access=effect.from_json(entry.get("access")),
        checks=_load_checks(entry),
        base=entry["base"],
        converged=tuple((c["address"], c["field"]) for c in entry["converged"]),
    )


def _load_checks(entry: dict[str, Any]) -> "Checks | None":
    if entry.get("tests") is None:
        return None
    from reconcile.report.tests import list_from_json
    from reconcile.review.tests import Checks

    return Checks(list_from_json(entry["tests"]), list_from_json(entry["asserts"]))


def _load_change(entry: dict[str, Any], policy: PolicyChange | None) -> Change:
    if entry["kind"] not in {kind.name for kind in KINDS}:
        raise ValueError(f"unknown kind {entry['kind']!r}")
    change = Change(
        address=entry["address"],
        kind=entry["kind"],
        action=Action(entry["action"]),
        server_id=entry["server_id"],
        position=place_from_json(entry["source"]),
        before=entry["before"],
        after=entry["after"],
        reason=entry["reason"],
        notes=entry["notes"],
        irreversible=tuple(
            OneWay(w["field"], w["label"], w["text"], w["why"])
            for w in entry["irreversible"]
        ),
        caveats=tuple(entry["caveats"]),
        blocked="; ".join(entry["blocked_by"]),
        policy=policy if entry["kind"] == "policy" else None,
        bridge=entry["bridge"],
        origins=_load_origins(entry),
        applied=entry["applied"],
    )
    if fingerprint(change) != entry["fingerprint"]:
        raise ValueError(f"{change.address} was edited after the plan was saved")
    return change


def _load_origins(entry: dict[str, Any]) -> dict[str, Origin]:
    """Return the origins field by field; a removal and a policy have no fields."""
    said = {field["path"]: field["origin"] for field in entry["fields"]}
    said = said or {next(iter(entry["after"]), ""): entry["origin"]}
    found = {name: Origin(origin) for name, origin in said.items()}
    return {n: origin for n, origin in found.items() if origin is not Origin.INTENT}


def _load_policy(entry: dict[str, Any] | None) -> PolicyChange | None:
    if entry is None:
        return None
    return PolicyChange(
        items=tuple(_load_item(item) for item in entry["semantic"]),
        drifted=tuple(_load_item(item) for item in entry["drifted"]),
        moved=tuple(_load_item(item) for item in entry["moved"]),
        unchanged=entry["unchanged_rules"],
        lines=entry["changed_lines"],
        first=entry["first"],
        warnings=tuple(entry["warnings"]),
        delivery=entry["delivery"],
    )


def _load_item(entry: dict[str, Any]) -> PolicyItem:
    return PolicyItem(
        op=entry["kind"],
        subject=entry["rule"],
        effect=entry["effect"],
        title=entry["summary"],
        changes=tuple(entry["changes"]),
        position=place_from_json(entry["source"]),
        detail=entry["detail"],
    )


def _load_pending(entry: dict[str, Any]) -> Pending:
    return Pending(
        entry["address"],
        place_from_json(entry["source"]),
        entry["settings"],
        entry["pending"],
        entry["hint"],
        Origin(entry["origin"]),
    )


def _load_replaced(entry: dict[str, Any]) -> Replaced:
    return Replaced(
        entry["address"],
        place_from_json(entry["source"]),
        entry["server_id"],
        entry["name"],
        entry["alike"],
        entry["match"],
    )


def _load_diagnostic(entry: dict[str, Any]) -> Diagnostic:
    related = ((place_from_json(r["source"]), r["label"]) for r in entry["related"])
    return Diagnostic(
        entry["code"],
        entry["message"],
        place_from_json(entry["source"]),
        entry["severity"],
        entry["label"],
        entry["why"],
        entry["help"],
        tuple(Related(place, label) for place, label in related if place),
        entry["address"],
    )
