"""Names come from devices and are hostile: what is printed cannot steer a terminal."""

import re

from reconcile.source.mask import masked

# Control characters (C0, DEL, C1), line and paragraph separators, and the marks that
# change the direction of text: each could hide or forge a line of the output.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def safe(text: str) -> str:
    """Return the text with every character that could steer a terminal escaped.

    Secrets are masked before lines are cut: half of one would not be known any more.
    """
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", masked(text))


def safe_lines(text: str) -> str:
    """Like `safe`, but line breaks and tabs stay."""
    return "".join(
        part if part in "\n\t" else safe(part)
        for part in re.split("([\n\t])", masked(text))
    )
