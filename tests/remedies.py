"""Makes what a remedy offers, as somebody would who trusts it."""

import json
from pathlib import Path

from reconcile.remedies import Add, Command, Cut, Drop, Instead, Put, Rename, Reword
from reconcile.source.hujson import parse as parse_policy
from reconcile.source.yaml import parse


def make(way, finding):
    """Edit the files in the current folder as one way out says; no command is run."""
    assert not isinstance(way, Command)
    # A later item first, so that the places of earlier ones stay, and what is inside
    # of an entry before the entry.
    for edit in sorted(way, key=_depth, reverse=True):
        _EDITS[type(edit)](edit, finding)


def paste(offered):
    """Paste what a plan offers for what the file does not list."""
    opened = _Opened(Path("tailnet.yaml"))
    for one in offered:
        if one.yaml:
            section = opened.value.setdefault(f"{one.kind}s", {})
            entry = _yaml(one.yaml)
            assert not section.keys() & entry.keys()
            section |= entry
    opened.save()


def _depth(edit):
    path = getattr(edit, "path", ())
    return [(isinstance(step, int), str(step).zfill(6)) for step in path]


def _yaml(text):
    """Return a value that was offered; it must be plain, valid YAML on one line."""
    assert "\n" not in text
    source = parse(text, "offered")
    assert not source.findings
    assert not source.nulls
    return source.value


def _file(finding):
    place = getattr(finding, "position", None)
    return Path(place.file if place else "tailnet.yaml")


class _Opened:
    """A file as data, written back as JSON, which is YAML and HuJSON too."""

    def __init__(self, path, *, policy=False):
        self._path = path
        text = path.read_text(encoding="utf-8-sig")
        self.value = parse_policy(text).value if policy else parse(text, "x").value
        self.value = {} if self.value is None else self.value

    def parent(self, path):
        """Return what holds the last step of a path; missing maps are made."""
        value = self.value
        for step in path[:-1]:
            if isinstance(value, dict) and value.get(step) is None:
                value[step] = {}
            value = value[step]
        return value

    def save(self):
        self._path.write_text(json.dumps(self.value, ensure_ascii=False) + "\n")


def _put(edit, finding):
    opened = _Opened(Path(edit.file) if edit.file else _file(finding), policy=edit.file)
    value = json.loads(edit.value) if edit.file else _yaml(edit.value)
    opened.parent(edit.path)[edit.path[-1]] = value
    opened.save()


def _add(edit, finding):
    opened = _Opened(_file(finding))
    items = opened.parent((*edit.path, 0))
    if isinstance(items, dict):  # the list is new
        items = opened.parent(edit.path)[edit.path[-1]] = []
    items += [_yaml(item) for item in edit.items]
    opened.save()


def _drop(edit, finding):
    opened = _Opened(_file(finding))
    del opened.parent(edit.path)[edit.path[-1]]
    opened.save()


def _instead(edit, finding):
    place = finding.position
    path = Path(place.file)
    lines = path.read_text().splitlines(keepends=True)
    line = lines[place.line - 1]
    start = place.column - 1
    assert place.text in ("", line.rstrip("\n"))  # what is secret is not shown
    lines[place.line - 1] = line[:start] + edit.text + line[start + place.length :]
    path.write_text("".join(lines))


def _rename(edit, finding):
    opened = _Opened(_file(finding))
    section = opened.parent(edit.path)
    assert edit.name not in section
    section[edit.name] = section.pop(edit.path[-1])
    opened.save()


def _reword(edit, finding):
    place = finding.position
    path = Path(place.file)
    lines = path.read_text().splitlines(keepends=True)
    line, start = lines[place.line - 1], place.column - 1
    marked = line[start : start + place.length]
    assert edit.old in marked
    new = marked.replace(edit.old, edit.new, 1)
    lines[place.line - 1] = line[:start] + new + line[start + place.length :]
    path.write_text("".join(lines))


def _cut(_, finding):
    """Take away what stands where the finding points, with the data of the file."""
    place = finding.position
    is_policy = place.file.endswith(".hujson")
    text = Path(place.file).read_text()
    read = parse_policy(text) if is_policy else parse(text, place.file)
    opened = _Opened(Path(place.file), policy=is_policy)
    (*above, last) = next(
        path for path in _paths(opened.value) if _stands(read, path, place)
    )
    del opened.parent((*above, last))[last]
    opened.save()


def _stands(read, path, place):
    """Tell whether a value, or the name before it, stands at a place."""
    spots = [read.locate(path)]
    if isinstance(path[-1], str):
        spots.append(read.locate(path, key=True))
    return any((s.line, s.column) == (place.line, place.column) for s in spots)


def _paths(value, path=()):
    """Yield the path of everything in a document, what is deeper last."""
    if path:
        yield path
    below = value.items() if isinstance(value, dict) else ()
    below = enumerate(value) if isinstance(value, list) else below
    for step, item in below:
        yield from _paths(item, (*path, step))


_EDITS = {
    Put: _put,
    Add: _add,
    Cut: _cut,
    Drop: _drop,
    Rename: _rename,
    Reword: _reword,
    Instead: _instead,
}
