"""What a text is that is no HuJSON at all: one finding for it, with the way out."""

import re
from collections.abc import Callable

from reconcile.errors import Diagnostic
from reconcile.source.text import Lines

_GAP = re.compile(r"(?:[ \t\r\n]++|//[^\n]*+\n|/\*(?>.*?\*/)|\#[^\n]*+\n)*+", re.DOTALL)
# A key of YAML, or the line that begins a YAML document.
_YAML = re.compile(
    r"""---[ \t]*$ | -[ \t] | (?:[A-Za-z_][\w.-]*+|'[^'\n]*+')[ \t]*:(?:[ \t]|$)""",
    re.MULTILINE | re.VERBOSE,
)
_MEMBER = re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"[ \t]*:')
# A quoted key of YAML whose value stands in the lines below it, without brackets.
_BLOCK = re.compile(r"[ \t]*(?:\#[^\n]*)?\r?\n[ \t]*(?![ \t\r\n{\[]|//|/\*)")


def mistaken(text: str, file: str, reads: Callable[[str], bool]) -> Diagnostic | None:
    """Return the one finding for a text that is YAML, or without its first brace.

    `reads` tells whether a text is HuJSON. None when the text is neither.
    """
    start = _GAP.match(text).end()  # type: ignore[union-attr]
    lines = Lines(text, file)
    member = _MEMBER.match(text, start)
    block = member and _BLOCK.match(text, member.end())
    yaml = _YAML.match(text, start)
    if yaml or block:
        end = text.find("\n", start)
        return Diagnostic(
            "RC0010",
            "this is YAML, and a policy file is HuJSON",
            lines.position(start, end if end > 0 else len(text)),
            why="the servers read no YAML",
            help="put its lines under `policy:` in tailnet.yaml, indented; "
            "reconcile render policy then writes them as HuJSON",
        )
    if not member:
        return None
    both = not reads("{" + text) and reads("{" + text + "}")
    return Diagnostic(
        "RC0010",
        "the policy does not begin with {",
        lines.position(start, member.end()),
        why="a policy is one object in braces",
        help=f"write {{ before this line{', and } at the end' if both else ''}",
    )
