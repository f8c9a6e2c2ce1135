"""The plan and the drift for people, in plain text; colour comes from the caller."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from itertools import chain, groupby
from typing import Any

from reconcile import __version__
from reconcile.errors import Exit, exit_of
from reconcile.kinds import BY_NAME
from reconcile.plan.changes import (
    Action,
    Change,
    Origin,
    Pending,
    PolicyChange,
    PolicyItem,
    Unlisted,
    word,
)
from reconcile.plan.order import steps
from reconcile.plan.plan import Failed, Plan
from reconcile.policy.language.words import plural
from reconcile.report import effect, origin
from reconcile.report.besides import Besides
from reconcile.report.closing import LEFT_OUT_BY, closing
from reconcile.report.line import LEFT, Line, Paint, plain
from reconcile.report.safe import safe, safe_lines
from reconcile.report.width import filled

_TESTS = ("tests[", "sshTests[")
_SECTIONS = (("user", "Users"), ("policy", "Policy"), ("node", "Nodes"))


@dataclass(frozen=True, slots=True)
class Shape:
    """How a plan is drawn: its colours, the policy's text diff, and every line.

    `members` are the nodes behind the names of access lines.
    """

    paint: Paint = plain
    text_diff: bool = False
    full: bool = False
    members: bool = False


def render_plans(
    plans: Sequence[Plan], shape: Shape = Shape(), failed: Sequence[Failed] = ()
) -> str:
    """Return the plans of all servers as text, and why others have none."""
    return "".join(plans_and_summary(plans, shape, failed))


def plans_and_summary(
    plans: Sequence[Plan], shape: Shape = Shape(), failed: Sequence[Failed] = ()
) -> tuple[str, str]:
    """Return the same in two parts: findings go before the second, which sums up."""
    parts = [_one(plan, shape) for plan in plans]
    parts += [_no_plan(one, shape.paint) for one in failed]
    whole = "\n".join(parts)
    if any(plan.changes for plan in plans):
        return f"{whole}\n", closing(plans, shape.paint)
    before, blank, last = whole.rpartition("\n\n")
    return f"{before}{blank}", last


def render_drift(
    plans: Sequence[Plan], shape: Shape = Shape(), failed: Sequence[Failed] = ()
) -> str:
    """Return what changed on the servers, seen from the files."""
    parts = [_drift(plan, shape.paint, text_diff=shape.text_diff) for plan in plans]
    return "\n".join([*parts, *(_no_plan(one, shape.paint) for one in failed)])


# -- one plan ----------------------------------------------------------------------


def _no_plan(one: Failed, paint: Paint) -> str:
    """Return the section of a server that failed."""
    head = safe(f"reconcile {__version__} · {one.name} · {one.url}")
    lines = [head, "", paint(f"No plan: {safe_lines(str(one.error))}", "red")]
    if one.error.hint:
        lines.append(f"  = help: {safe_lines(one.error.hint)}")
    return "\n".join(lines) + "\n"


def _one(plan: Plan, shape: Shape) -> str:
    paint = shape.paint
    lines = [*_heading(plan), ""]
    for kind, title in _SECTIONS:
        lines += _section(plan, kind, title, paint, text_diff=shape.text_diff)
    if plan.access is not None:
        how = {"full": shape.full, "members": shape.members}
        lines += [*effect.section(plan.access, paint, **how), ""]
    if plan.checks is not None:
        from reconcile.report import tests

        told = any(change.kind == "policy" for change in plan.changes)
        found = tests.section(plan.checks, paint, but_tests=told)
        lines += [*found, ""] if found else []
    lines += _notes(plan)
    lines += _converged(plan)
    lines += _unlisted(plan)
    lines += filled(_order(plan) if plan.changes else _unchanged(plan), 2)
    return "\n".join(lines) + "\n"


def _heading(plan: Plan) -> Iterator[str]:
    for line in _head(plan):
        yield from filled(line, 2)


def _head(plan: Plan) -> Iterator[str]:
    info = plan.server
    parts = [
        f"reconcile {__version__}",
        plan.name,
        f"{info.type} {info.version} at {info.url}",
    ]
    if info.version in ("", "dev"):
        parts[2] = f"{info.type} {info.release} (a plain build) at {info.url}"
    if plan.policy_mode:
        parts.append(f"policy mode: {plan.policy_mode}")
    yield safe(" · ".join(parts))
    read = [plural(number, kind[:-1]) for kind, number in plan.counts.items()]
    if plan.policy_bytes is not None:
        read.append(f"policy {_size(plan.policy_bytes)}")
    files = ", ".join(path for path, _ in plan.files[:1]) or "no file"
    more = f" and {len(plan.files) - 1} more" if len(plan.files) > 1 else ""
    commit = f" @ {plan.commit}" if plan.commit else ""
    commit += f", applied last: {plan.base}" if plan.base else ""
    yield safe(f"Read {', '.join(read) or 'nothing'}. File: {files}{more}{commit}")


def _section(
    plan: Plan, kind: str, title: str, paint: Paint, *, text_diff: bool
) -> list[str]:
    changes = [change for change in plan.changes if change.kind == kind]
    besides = Besides(plan, kind)
    lines: list[str] = []
    for change in changes:
        if change.policy is not None:
            lines += _policy_origin(change, change.policy, plan.base, paint)
            lines += _policy(change, change.policy, paint, text_diff=text_diff)
        else:
            lines += (line.draw(paint) for line in _change(change, plan.base))
            lines += (line.draw(paint) for line in besides.of(change))
    for change in plan.stuck:
        if change.kind == kind:
            lines += (line.draw(paint) for line in _stuck(change, plan.base))
    lines += (line.draw(paint) for line in besides.rest())
    if kind == "node":
        lines += _replaced(plan, paint)
        for pending in plan.pending:
            remark = "not on the server yet"
            if pending.settings:
                remark += f" ({plural(pending.settings, 'setting')} pending)"
            lines += _pending("?", pending, remark, paint)
    if not lines:
        return []
    if kind == "policy" and changes[0].policy:
        told = _policy_title(changes[0], changes[0].policy)
        title = f"{title:<{LEFT - 2}}  {told}{_tests(plan)}"
    head = [paint(line, "bold") for line in filled(title.rstrip(), LEFT)]
    return [*head, *lines, ""]


def _tests(plan: Plan) -> str:
    if plan.checks is None or not plan.checks.tests:
        return ""
    from reconcile.report import tests

    return f", {tests.passing(plan.checks)}"


def _change(change: Change, base: str) -> Iterator[Line]:
    """Yield the lines of a user or node: one for it, one for each field."""
    number = f" (#{change.server_id})" if change.kind == "node" else ""
    moved = origin.of_object(change, base)
    match change.action:
        case Action.CREATE:
            profile = [
                f"{name.replace('_', ' ')} {value}"
                for name, value in change.after.items()
                if name != "name"
            ]
            remark = ", ".join([*profile, *moved])
            yield Line("+", change.address, remark, change.position)
        case Action.RENAME:
            remark = ", ".join(["renamed", *filter(None, [change.reason]), *moved])
            left = f"{change.address} -> {change.after['name']}"
            yield Line(">", left, remark, change.position)
        case Action.DELETE:
            ways = [way.why for way in change.irreversible]
            why = "; ".join([change.reason, *ways, *moved])
            yield Line("-", f"{change.address}{number}", why, change.position)
        case Action.UPDATE:
            yield Line("~", f"{change.address}{number}", "", change.position)
            yield from _fields(change, base)
    for caveat in change.caveats:
        yield Line("!", caveat, depth=1)


def _stuck(change: Change, base: str) -> Iterator[Line]:
    """Yield the lines of what the server cannot make so, each with the reason."""
    number = f" (#{change.server_id})" if change.kind == "node" else ""
    why = f"cannot be removed; {change.reason}" * (change.action is Action.DELETE)
    yield Line("#", f"{change.address}{number}", why, change.position)
    for name, after in change.after.items():
        note = origin.with_field(change.notes[name], change, name, base)
        line = _field(name, change.before.get(name), after, note)
        yield replace(line, sign="#")


def _fields(change: Change, base: str) -> Iterator[Line]:
    for name, after in change.after.items():
        note = origin.with_field(change.notes.get(name, ""), change, name, base)
        line = _field(name, change.before.get(name), after, note)
        conflict = change.origin_of(name) is Origin.CONFLICT
        yield replace(line, sign="!") if conflict else line
        for way in change.irreversible:
            if way.field == name:
                yield Line("!", f"{way.label:<11} {way.text}", way.why, depth=1)


def _field(name: str, before: Any, after: Any, note: str) -> Line:
    label = name.replace("_", " ")
    if isinstance(after, list):
        old = before or []
        added = [f"+ {value}" for value in after if value not in old]
        removed = [f"- {value}" for value in old if value not in after]
        sign = "~" if added and removed else "+" if added else "-"
        shown = "   ".join(added + removed)
        if sign != "~":
            shown = ", ".join(part[2:] for part in added + removed)
        return Line(sign, f"{label:<11} {shown}", note, depth=1)
    shown = f"{word(before)} -> {word(after)}"
    return Line("~", f"{label:<11} {shown}", note, depth=1)


def _pending(sign: str, pending: Pending, remark: str, paint: Paint) -> Iterator[str]:
    yield Line(sign, pending.address, remark, pending.position).draw(paint)
    if pending.hint:
        yield Line("", pending.hint, depth=1).draw(paint)


def _replaced(plan: Plan, paint: Paint) -> Iterator[str]:
    """Yield which entries stand for a device installed anew, and why."""
    for one in plan.replaced:
        left = f"{one.address} is now #{one.server_id} {one.name}"
        alike = ", ".join(f"{name} {value}" for name, value in one.alike.items())
        why = f"replace: auto, its match finds none and only this has {alike}"
        yield Line("", left, why, one.position).draw(paint)
        if one.match:
            advice = f"its match is out of date; write match: {one.match}"
            yield Line("", advice, depth=1).draw(paint)


# -- policy ------------------------------------------------------------------------


def _policy_title(change: Change, told: PolicyChange) -> str:
    file = safe(change.position.file) if change.position else ""
    if told.first:
        return f"{file}, the first policy of this server"
    if told.formatting_only:
        return f"{file}, formatting and comments only: no rule changes"
    words = {"widen": "widened", "narrow": "narrowed", "add": "added"}
    words |= {"remove": "removed", "change": "changed", "move": "moved"}
    counts: dict[tuple[str, str], int] = {}
    for item in told.items:
        if "[" in item.subject:
            noun = "test" if item.subject.startswith(_TESTS) else "rule"
            kind = item.effect if item.op == "change" else item.op
            kind = kind if kind in words else "change"
            counts[noun, kind] = counts.get((noun, kind), 0) + 1
    parts = [f"{plural(n, noun)} {words[k]}" for (noun, k), n in counts.items()]
    return ", ".join([file, *parts])


def _policy_origin(
    change: Change, told: PolicyChange, base: str, paint: Paint
) -> Iterator[str]:
    """Yield what is to be said first of a policy that moved on the server as well."""
    for remark in origin.of_object(change, base):
        yield Line("!" if told.moved else "", remark).draw(paint)
    for item in told.moved:
        for line in _item_lines(item):
            yield line.draw(paint, indent=4)


def _policy(
    change: Change, told: PolicyChange, paint: Paint, *, text_diff: bool
) -> list[str]:
    lines = [line.draw(paint) for item in told.items for line in _item_lines(item)]
    lines += [Line("!", warning).draw(paint) for warning in told.warnings]
    hidden = "" if text_diff else " (--text-diff shows them)"
    unchanged = f"{plural(told.unchanged, 'rule')} unchanged; " * (not told.first)
    differ = "line of text differs" if told.lines == 1 else "lines of text differ"
    lines += filled(f"    {unchanged}{told.lines} {differ}{hidden}", 4)
    if change.bridge:
        lines += filled(f"    {_BRIDGE}", 4)
    if told.delivery:
        lines += filled(f"    Delivered {safe(told.delivery)}", 4)
    if change.blocked:
        lines.append(Line("!", f"not applied: {change.blocked}.").draw(paint))
        lines += filled(f"    {_FILE_MODE}", 4)
    if text_diff:
        lines += _text_diff(change, paint)
    return lines


_BRIDGE = (
    "Written twice: old and new rules together, then, when the tags have moved, this "
    "text (--single-policy-write: once)."
)
_FILE_MODE = (
    "Options: `deliver` in the policy section, reconcile render policy -o "
    "policy.hujson (then reload), or policy.mode: database."
)


def _item_lines(item: PolicyItem) -> Iterator[Line]:
    left = f"{item.subject}   {item.title}" if item.title else item.subject
    yield Line(item.symbol, left, "   ".join(item.changes), item.position)


def _text_diff(change: Change, paint: Paint) -> Iterator[str]:
    before = (change.before.get("text") or "").splitlines(keepends=True)
    after = (change.after.get("text") or "").splitlines(keepends=True)
    name = change.position.file if change.position else "policy"
    for line in unified_diff(before, after, "on the server", name):
        text = f"    {safe_lines(line.rstrip(chr(10)))}"
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "")
        yield paint(text, colour) if colour else text


# -- what is not a change ------------------------------------------------------------


def _notes(plan: Plan) -> list[str]:
    if not plan.notes:
        return []
    noted = (filled(f"Note: {safe(note)}", 2) for note in plan.notes)
    return [*chain.from_iterable(noted), ""]


def _converged(plan: Plan) -> list[str]:
    if not plan.converged:
        return []
    listed = ", ".join(f"{a}.{field}" if field else a for a, field in plan.converged)
    return [
        *filled(f"Converged, on the server already: {safe(listed)} (no call)", 2),
        "",
    ]


def _unlisted(plan: Plan) -> list[str]:
    """List what the file does not name, as YAML that can be pasted into it."""
    if not plan.unlisted:
        return []
    lines = filled("Not in the file (reported, not touched); to manage them, paste:")
    for kind, group in groupby(plan.unlisted, key=lambda entry: entry.kind):
        entries = list(group)
        # A section with nothing but remarks in it would be null.
        empty = all(entry.why_not for entry in entries)
        lines.append(f"    {'# ' * empty}{BY_NAME[kind].section}:")
        lines += [f"      {safe(_pasted(entry))}" for entry in entries]
    return [*lines, ""]


def _pasted(entry: Unlisted) -> str:
    return entry.yaml or f"# {entry.address}: {entry.why_not}"


def _order(plan: Plan) -> str:
    ordered = steps(change for change in plan.changes if not change.blocked)
    phases = dict.fromkeys(step.phase.label for step in ordered) or ["nothing"]
    return f"Order: {' > '.join(phases)}      ({plural(len(ordered), 'call')})"


def _unchanged(plan: Plan) -> str:
    counted = [plural(number, kind[:-1]) for kind, number in plan.counts.items()]
    if plan.pending:
        counted.append(f"{len(plan.pending)} pending")
    files = safe(plan.files[0][0]) if plan.files else "the file"
    if plan.stuck:
        return (
            f"Nothing to do. {plural(len(plan.stuck), 'object')} on {safe(plan.name)} "
            f"cannot be made as {files} says (see above)."
        )
    if exit_of(plan.errors) == Exit.ERROR:
        return "Nothing to do, but not everything could be compared: see the errors."
    if plan.limited:
        return (
            "Nothing to do in what is left; left out by "
            f"{LEFT_OUT_BY}: {plural(plan.limited, 'change')}."
        )
    return f"No changes. {safe(plan.name)} matches {files} ({', '.join(counted)})."


# -- drift ---------------------------------------------------------------------------


def _drift(plan: Plan, paint: Paint, *, text_diff: bool) -> str:
    lines = [*_heading(plan), ""]
    found: list[str] = []
    moved = plan.drifted
    for change in moved.changes:
        if change.policy is not None:
            found += _policy_drift(change, change.policy, paint, text_diff=text_diff)
        else:
            found += (line.draw(paint) for line in _drifted(change))
    for pending in moved.pending:
        found += _pending("-", pending, "not on the server", paint)
    if found:
        title = filled(_drift_title(plan, len(moved)), 2)
        lines += [*(paint(line, "bold") for line in title), *found, ""]
    elif any(d.severity == "error" for d in plan.drift_diagnostics):
        lines += ["Not everything could be compared: see the errors.", ""]
    elif plan.unapplied:
        told = f"No drift. {safe(plan.name)} did not move since {plan.base}."
        lines += [*filled(told, 2), ""]
    else:
        told = f"No drift. {_unchanged(plan).removeprefix('No changes. ')}"
        lines += [*filled(told, 2), ""]
    if replaced := list(_replaced(plan, paint)):
        lines += [*replaced, ""]
    lines += _not_applied(plan, paint) + _notes(plan) + _converged(plan)
    return "\n".join(lines + _unlisted(plan)).rstrip("\n") + "\n"


def _drift_title(plan: Plan, number: int) -> str:
    title = f"Drift: {plural(number, 'object')} on {safe(plan.name)} "
    if plan.base:
        return f"{title}moved since {plan.base} was applied"
    return f"{title}differ{'s' * (number == 1)} from the file"


def _not_applied(plan: Plan, paint: Paint) -> list[str]:
    """List what the files want and no apply has done yet, shortly: it is no drift."""
    rest = plan.unapplied
    if not rest:
        return []
    commits = f"{plan.base}..{plan.commit}"
    title = f"Not applied yet: {plural(len(rest), 'object')} of {commits} "
    title += "(reconcile plan shows more)"
    lines = [paint(line, "bold") for line in filled(title, 2)]
    for change in rest.changes:
        sign = change.action.symbol
        fields = ", ".join(change.after) if change.action is Action.UPDATE else ""
        left = "" if change.policy else fields.replace("_", " ")
        lines.append(Line(sign, change.address, left, change.position).draw(paint))
    for pending in rest.pending:
        line = Line("?", pending.address, "not on the server yet", pending.position)
        lines.append(line.draw(paint))
    return [*lines, ""]


def _drifted(change: Change) -> Iterator[Line]:
    number = f" (#{change.server_id})" if change.kind == "node" else ""
    match change.action:
        case Action.CREATE:
            yield Line("-", change.address, "not on the server", change.position)
        case Action.DELETE:
            remark = f"is on the server; {change.reason}"
            yield Line("+", f"{change.address}{number}", remark, change.position)
        case Action.RENAME:
            left = f"{change.address} is called {change.before['name']}"
            remark = f"the file says {change.after['name']}"
            yield Line(">", left, remark, change.position)
        case Action.UPDATE:
            yield Line("~", f"{change.address}{number}", "", change.position)
            for name, wanted in change.after.items():
                was = change.applied.get(name, wanted)
                note = origin.meanwhile(change, name)
                yield _field(name, was, change.before.get(name), note)


def _policy_drift(
    change: Change, told: PolicyChange, paint: Paint, *, text_diff: bool
) -> Iterator[str]:
    remark = "formatting and comments only" if told.formatting_only else ""
    if told.first:
        remark = "the server has none"
    if change.origin is Origin.CONFLICT:
        remark = "the file changed as well"
    yield Line("~", "policy", remark, change.position).draw(paint)
    if not told.first:
        for item in told.moved or told.drifted:
            for line in _item_lines(item):
                yield line.draw(paint, indent=4)
    if text_diff:
        yield from _text_diff(change, paint)


def _size(number: int) -> str:
    return f"{number} B" if number < 1000 else f"{number / 1000:.1f} kB"
