"""The secrets of this run, and what takes them out of all that leaves the program.

What was a secret once stays one until the process ends.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator

MASK = "(secret)"
_SHORTEST = 8  # a shorter one would mask ordinary words, and is none
_known: set[str] = set()
_forms: list[str] = []
_percent: list[re.Pattern[str]] = []


def remember(secret: str) -> None:
    """Take a text out of everything that leaves from now on, encoded ones too."""
    if len(secret) < _SHORTEST or secret in _known:
        return
    _known.add(secret)
    _forms.extend(sorted({*_written(secret)}, key=len, reverse=True))
    _percent.append(re.compile("".join(_either(char) for char in secret)))


def forget() -> None:
    """Begin as a new process does (for tests, which run many in one)."""
    for kept in (_known, _forms, _percent):
        kept.clear()


def masked(text: str) -> str:
    """Return a text with `(secret)` in place of every secret of this run."""
    for form in _forms:
        if form in text:
            text = text.replace(form, MASK)
    if "%" in text:
        for pattern in _percent:
            text = pattern.sub(MASK, text)
    return text


def _written(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as JSON writes it, and as base64 does."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield ascii(secret)[1:-1]
    raw = secret.encode()
    # What base64 makes of a text depends on where among three bytes it begins. The
    # signs at both ends hold bits of its neighbours, too.
    for before in range(3):
        bits = 8 * (before + len(raw))
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(b"\0" * before + raw).decode()
            yield text[-(-8 * before // 6) : bits // 6]


def _either(char: str) -> str:
    """Return a pattern for a sign, written as it is or as its percent codes."""
    codes = "".join(f"%{byte:02x}" for byte in char.encode())
    return f"(?:{re.escape(char)}|(?i:{codes}))"
