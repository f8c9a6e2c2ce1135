"""The slow, patient reader of HuJSON: every position and every finding.

It walks the text token by token with its own stack, so nesting never exhausts
Python's, and goes on after a mistake, so that one run reports all of them.
"""

import json
import math
from dataclasses import dataclass, field
from enum import Enum, auto

from reconcile.errors import Diagnostic, Related
from reconcile.source.hujson_tokens import RAW_SURROGATE, TOKEN, Span, mistake_at
from reconcile.source.text import Lines

MAX_DEPTH = 200
MAX_FINDINGS = 50
MAX_DIGITS = 4000  # Python reads no integer of more than 4,300


class Expect(Enum):
    """What the grammar waits for next."""

    VALUE = auto()
    NAME = auto()
    COLON = auto()
    COMMA = auto()
    END = auto()


@dataclass(slots=True)
class _Frame:
    """An open object or array, and the name whose value is being read."""

    span: Span
    name: str = ""
    name_span: tuple[int, int] | None = None
    is_object: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_object = self.span.members is not None


class Reader:
    """Reads a text completely: `root` has the spans, `findings` what is wrong."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.lines = Lines(text, file)
        self.findings: list[Diagnostic] = []
        self.root = Span(0, 0)
        self._frames: list[_Frame] = []
        self._expect = Expect.VALUE
        self._last = 0
        self._stopped = False
        self._bad_unicode()
        self._read()

    def refusals(self) -> list[Diagnostic]:
        """Return the findings in the order of the text."""
        return sorted(self.findings, key=_place)

    def _report(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        *,
        why: str = "",
        help: str = "",
        related: tuple[Related, ...] = (),
    ) -> None:
        place = self.lines.position(start, end)
        self.findings.append(
            Diagnostic(code, message, place, why=why, help=help, related=related)
        )
        if len(self.findings) >= MAX_FINDINGS:
            self._stopped = True

    def _bad_unicode(self) -> None:
        for found in RAW_SURROGATE.finditer(self.text):
            if self._stopped:
                return
            self._report(
                "RC0016",
                "bytes that are not UTF-8",
                *found.span(),
                help="save the file as UTF-8",
            )

    def _read(self) -> None:
        position, size = 0, len(self.text)
        while position < size and not self._stopped:
            found = TOKEN.match(self.text, position)
            if found is None:
                position = self._mistake(position)
                continue
            position = found.end()
            self._token(found.lastgroup or "", found.start(), position)
        if not self._stopped:
            self._finish(size)

    def _token(self, kind: str, start: int, end: int) -> None:
        if kind == "gap":
            return
        if kind == "open":
            self._open(start)
        elif kind == "close":
            self._close(start)
        elif kind == "comma":
            self._comma(start)
        elif kind == "colon":
            self._colon(start)
        else:
            self._scalar(kind, start, end)
        self._last = end

    def _mistake(self, start: int) -> int:
        """Report a token of no kind, and let it act as what it was meant to be."""
        mistake = mistake_at(self.text, start)
        self._report(
            mistake.code,
            mistake.message,
            start + mistake.offset,
            max(start + mistake.offset + 1, mistake.end),
            why=mistake.why,
            help=mistake.help,
        )
        if mistake.acts_as:
            self._token(mistake.acts_as, start, mistake.end)
        return mistake.end

    # The grammar.

    def _scalar(self, kind: str, start: int, end: int) -> None:
        if kind == "number":
            self._check_number(start, end)
        if self._expect is Expect.COMMA:
            self._missing_comma(start)
        if self._expect is Expect.NAME:
            self._name(kind, start, end)
            return
        self._place(Span(start, end), kind == "string")

    def _open(self, start: int) -> None:
        if self._expect is Expect.COMMA:
            self._missing_comma(start)
        is_object = self.text[start] == "{"
        span = Span(start, start + 1)
        if is_object:
            span.members = {}
        else:
            span.items = []
        if self._expect is Expect.NAME:
            self._name("value", start, start + 1)
            self._expect = Expect.VALUE
        if not self._place(span):
            return
        self._frames.append(_Frame(span))
        self._expect = Expect.NAME if is_object else Expect.VALUE
        if len(self._frames) > MAX_DEPTH:
            self._stopped = True
            self._report(
                "RC0015",
                f"nested more than {MAX_DEPTH} levels deep",
                start,
                start + 1,
                why="a policy needs about six levels",
                help="look for a bracket that is opened again and again",
            )

    def _place(self, span: Span, is_string: bool = False) -> bool:
        """Put a value where the grammar stands; False when there is no room."""
        if is_string:
            self._decode(span.start, span.end)
        if self._expect is Expect.END:
            self._after_end(span.start, span.end)
            return False
        if self._expect is Expect.COLON:
            self._missing_colon()
        if not self._frames:
            self.root = span
            self._expect = Expect.END
            return True
        frame = self._frames[-1]
        if frame.span.members is not None:
            span.name = frame.name_span
            frame.span.members.setdefault(frame.name, span)
        elif frame.span.items is not None:
            frame.span.items.append(span)
        self._expect = Expect.COMMA
        return True

    def _name(self, kind: str, start: int, end: int) -> None:
        frame = self._frames[-1]
        self._expect = Expect.COLON
        if kind not in ("string", "bare"):  # a bare word is a finding already
            self._report(
                "RC0010",
                f"a member name must be a string, not {self._excerpt(start, end)}",
                start,
                end,
                help="write the name in double quotes",
            )
        name = self._decode(start, end) if kind == "string" else self.text[start:end]
        earlier = (frame.span.members or {}).get(name)
        frame.name, frame.name_span = name, (start, end)
        if earlier is not None and earlier.name is not None and kind == "string":
            self._repeated(name, start, end, earlier.name)

    def _repeated(
        self, name: str, start: int, end: int, first: tuple[int, int]
    ) -> None:
        self._report(
            "RC0011",
            f"the name {json.dumps(name, ensure_ascii=False)} is used twice here",
            start,
            end,
            why="only one of the two values would count, and not on every server the "
            "same one",
            help="merge the two, or remove one",
            related=(Related(self.lines.position(*first), "first used here"),),
        )

    def _close(self, start: int) -> None:
        wanted = self.text[start] == "}"
        if not any(frame.is_object == wanted for frame in self._frames):
            self._report(
                "RC0010",
                f"{self.text[start]!r} closes nothing",
                start,
                start + 1,
                help="remove it, or add the opening bracket",
            )
            return
        while self._frames[-1].is_object != wanted:
            self._unclosed(start)
            self._pop(start)
        if self._expect in (Expect.COLON, Expect.VALUE) and wanted:
            self._no_value(start)
        self._pop(start + 1)

    def _pop(self, end: int) -> None:
        self._frames.pop().span.end = end
        self._expect = Expect.COMMA if self._frames else Expect.END

    def _comma(self, start: int) -> None:
        if self._expect is Expect.END:
            self._after_end(start, start + 1)
            return
        if self._expect is Expect.COMMA:
            in_object = self._frames[-1].is_object
            self._expect = Expect.NAME if in_object else Expect.VALUE
            return
        if self._frames and self._frames[-1].is_object and self._expect != Expect.NAME:
            self._no_value(start)
            self._expect = Expect.NAME
            return
        self._report(
            "RC0010",
            "a comma with nothing before it",
            start,
            start + 1,
            help="remove it: one comma may follow each value",
        )

    def _colon(self, start: int) -> None:
        if self._expect is Expect.COLON:
            self._expect = Expect.VALUE
            return
        self._report(
            "RC0010",
            "a colon is out of place",
            start,
            start + 1,
            help='a colon stands only between a name and its value, as in "a": 1',
        )

    def _finish(self, size: int) -> None:
        if self._expect is Expect.VALUE and not self._frames and not self.findings:
            self._report(
                "RC0014",
                "there is no policy in this text",
                size,
                size,
                why="it is empty, or holds only white space and comments; servers "
                "refuse that, or allow everything after a restart",
                help='write {"acls": []} for "allow nothing"',
            )
        for frame in reversed(self._frames):
            opener = self.text[frame.span.start]
            self._report(
                "RC0010",
                f"{opener!r} is never closed",
                frame.span.start,
                frame.span.start + 1,
                help=f"add {'}' if frame.is_object else ']'!r} where it ends",
            )
            if self._stopped:
                return

    # What the grammar can find wrong.

    def _missing_comma(self, start: int) -> None:
        self._report(
            "RC0010",
            f"a comma is missing before {self._excerpt(start, start + 20)}",
            self._last - 1,
            self._last,
            help="add a comma here",
        )
        in_object = self._frames[-1].is_object
        self._expect = Expect.NAME if in_object else Expect.VALUE

    def _missing_colon(self) -> None:
        self._report(
            "RC0010",
            f"a colon is missing after the name {self._name_text()}",
            self._last - 1,
            self._last,
            help="write a colon between the name and its value",
        )

    def _no_value(self, start: int) -> None:
        self._report(
            "RC0010",
            f"the name {self._name_text()} has no value",
            start,
            start + 1,
            help="write a value after the colon, or remove the name",
        )

    def _after_end(self, start: int, end: int) -> None:
        self._stopped = True
        self._report(
            "RC0019",
            f"{self._excerpt(start, end)} follows the end of the policy",
            start,
            end,
            why="a policy is one object in braces",
            help="remove what follows, or move it inside the braces",
        )

    def _unclosed(self, start: int) -> None:
        span = self._frames[-1].span
        opener = self.lines.position(span.start, span.start + 1)
        self._report(
            "RC0010",
            f"{self.text[start]!r} cannot close {self.text[span.start]!r}",
            start,
            start + 1,
            help="close the inner bracket first",
            related=(Related(opener, "opened here"),),
        )

    def _name_text(self) -> str:
        return json.dumps(self._frames[-1].name, ensure_ascii=False)

    def _excerpt(self, start: int, end: int) -> str:
        text = self.text[start : min(end, start + 24)].split("\n")[0]
        return text + ("…" if end - start > len(text) else "")

    def _check_number(self, start: int, end: int) -> None:
        text = self.text[start:end]
        try:
            fits = math.isfinite(float(text)) and len(text) <= MAX_DIGITS
        except ValueError:  # already reported as a mistake
            return
        if not fits:
            self._report(
                "RC0018",
                f"the number {self._excerpt(start, end)} is out of range",
                start,
                end,
                help="policies need port numbers at most; write a smaller one",
            )

    def _decode(self, start: int, end: int) -> str:
        """Return the string of a token, and report half surrogate pairs in it."""
        token = self.text[start:end]
        if "\\" not in token:
            return token[1:-1]
        try:
            value: str = json.loads(token)
        except ValueError:  # already reported as a mistake
            return token[1:-1]
        if "\\u" in token and RAW_SURROGATE.search(value):
            self._report(
                "RC0016",
                "an escape that is half of a surrogate pair",
                start,
                end,
                why="\\ud800 to \\udfff only mean a character in pairs",
                help="write the character itself",
            )
        return value


def _place(finding: Diagnostic) -> tuple[int, int]:
    place = finding.position
    return (place.line, place.column) if place else (0, 0)
