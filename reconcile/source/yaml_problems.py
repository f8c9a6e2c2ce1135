"""What the YAML parser's terse complaints mean, and what to do about each."""

from reconcile.errors import Diagnostic, Related
from reconcile.source.text import Lines

_QUOTE_IT = "put the text in quotes"

# libyaml's words -> what they mean, and the remedy.
_MEANINGS = {
    "mapping values are not allowed in this context": (
        "a `:` stands where no key can be",
        "check the indentation; a text that contains `: ` needs quotes",
    ),
    "did not find expected key": (
        "a key was expected here",
        "check the indentation: keys of one map start in the same column",
    ),
    "could not find expected ':'": (
        "this line has no `:` after its key",
        "write `key: value`; check the indentation and unclosed quotes above",
    ),
    "did not find expected '-' indicator": (
        "an item `- …` was expected here",
        "check the indentation: items of one list start in the same column",
    ),
    "did not find expected ',' or ']'": (
        "a `,` or the closing `]` is missing",
        "close the list with `]`, or separate its items with `,`",
    ),
    "did not find expected ',' or '}'": (
        "a `,` or the closing `}` is missing",
        "close the map with `}`, or separate its entries with `,`",
    ),
    "did not find expected node content": (
        "a value was expected here",
        "remove what stands here, or put it in quotes",
    ),
    "found unexpected end of stream": (
        "the file ends inside quotes",
        "close the quotes that were opened here",
    ),
    "found undefined alias": (
        "this alias names no anchor",
        "define it above with `&name`; a text that starts with `*` needs quotes",
    ),
    "but found another document": (
        "the file holds more than one YAML document",
        "remove the `---` line, or make two files and name both with -f",
    ),
    "block sequence entries are not allowed in this context": (
        "a list cannot start here",
        "put the first `-` on a line of its own, below the key",
    ),
    "found character that cannot start any token": (
        "this character cannot start a value",
        _QUOTE_IT,
    ),
    "found unknown escape character": (
        "this escape does not exist in double quotes",
        r"write \\ for a backslash, or use single quotes",
    ),
    "found a tab character that violates indentation": (
        "a tab is used for indentation",
        "YAML is indented with spaces only: replace the tab",
    ),
}
_TAB = _MEANINGS["found a tab character that violates indentation"]
# Where the place that opened the trouble says more than the place that met it.
_AT_CONTEXT = {"found unexpected end of stream"}


def explain(problem: str, lines: Lines, offset: int, context: int | None) -> Diagnostic:
    """Return the finding for a syntax error at `offset`.

    `context` is the offset of what the parser was reading, when it says so.
    """
    message, help = _meaning(problem, lines.text, offset)
    if problem in _AT_CONTEXT and context is not None:
        offset, context = context, None
    place = lines.position(offset, offset + 1)
    related: tuple[Related, ...] = ()
    if context is not None:
        start = lines.position(context, context + 1)
        if start.line != place.line:
            related = (Related(start, "in what begins here"),)
    return Diagnostic("RC0004", message, place, help=help, related=related)


def _meaning(problem: str, text: str, offset: int) -> tuple[str, str]:
    line = text[text.rfind("\n", 0, offset) + 1 : offset + 1]
    if line.strip() == "" and "\t" in line:
        return _TAB
    message, help = _MEANINGS.get(problem, (f"not valid YAML: {problem}", ""))
    at = text[offset : offset + 1]
    if help == _QUOTE_IT and at in "@`%":
        return f"a value cannot start with `{at}`", f"{_QUOTE_IT}: '{at}…'"
    return message, help
