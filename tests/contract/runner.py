"""Send a scenario's steps to whatever speaks the wire, and normalise the answers."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from . import seeds

MAY_STAY = re.compile(r"^(0001|203\d)-")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
SECRETS = (
    (re.compile(r"hskey-api-[\w-]{12}-(\*{3}|[\w-]{64})"), r"<api-key>"),
    (re.compile(r"hskey-auth-[\w-]{12}-\*{3}"), r"<masked-key>"),
    (re.compile(r"hskey-auth-[\w-]{12}-[\w-]{64}"), r"<auth-key>"),
    (re.compile(r"hskey-authreq-[\w-]{24}"), r"<auth-id>"),
    (re.compile(r"\b[0-9a-f]{48}\b"), r"<auth-key>"),
    (re.compile(r"(?<![\w-])[\w-]{7}\.[\w-]{32}(?![\w-])"), r"<api-key>"),
)
SEEDED = {
    node.secret(kind): f"{kind}:<{node.name}>"
    for node in seeds.NAMESAKES
    for kind in ("mkey", "nodekey", "discokey")
}
BIG = "n" * 1_048_577
MACHINE = re.compile(r"(mkey|nodekey|discokey):[0-9a-f]{64}")
WORDING = (
    # protojson marks the place of an error and varies its spacing from build to build
    (re.compile(r"proto:[\s\u00a0]*"), "proto: "),
    (re.compile(r"\(line \d+:\d+\)"), "(line)"),
    # the JSON library of the servers says one or the other by chance, and names types
    (re.compile(r"unable to unmarshal"), "cannot unmarshal"),
    (
        re.compile(r"into Go (?:.*?)(?= within|: (?!\[)|$)", re.MULTILINE),
        "into Go <type>",
    ),
    # what a parser says of broken text is its own; that it refuses counts
    (re.compile(r"hujson: line.*", re.DOTALL), "hujson: <place>"),
    # a list of examples follows
    (
        re.compile(
            r'((Invalid alias|Invalid Owner|Invalid AutoApprover) ".*?"\.).*', re.DOTALL
        ),
        r"\1",
    ),
    (re.compile(r"(wildcard \(\*\) is not supported as SSH destination).*"), r"\1"),
    # names that servers make up
    (re.compile(r"\b(invalid|lab)-[a-z0-9]{8}\b"), r"\1-<random>"),
    (
        re.compile(r"looking for beginning of value|looking for value"),
        "looking for value",
    ),
)


@dataclass(frozen=True)
class Step:
    """One request, or an operation that is none: RESTART of the server, JOIN of a client.

    A JOIN names the device in `path`, and in `body` its `key` and `routes`.

    `<name>` in the path or body stands for a value captured from an earlier answer;
    `capture` maps such a name to a dotted path in this answer. `raw` is a body that
    is sent as it stands, `auth` replaces the Authorization header ("" leaves it out).
    """

    method: str
    path: str = ""
    body: Any = None
    raw: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    auth: str | None = None
    capture: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the step with its empty fields left out."""
        return {
            name: value for name, value in vars(self).items() if value not in (None, {})
        }


def run(
    steps: tuple[Step, ...],
    send: Callable[[Step], httpx.Response],
    operations: dict[str, Callable[[Step], None]],
) -> list[dict[str, Any]]:
    """Run steps in order and return one exchange, normalised, for each request."""
    known = {"big": BIG}
    exchanges = []
    for step in steps:
        if step.method in operations:
            operations[step.method](filled(step, known))
            exchanges.append({"request": step.as_json(), "answer": None})
            continue
        response = send(filled(step, known))
        for name, place in step.capture.items():
            known[name] = captured(response, place)
        exchanges.append({"request": step.as_json(), "answer": answer(response)})
    return exchanges


def dump(exchanges: list[dict[str, Any]]) -> str:
    """Return a recording's text: one exchange a line, so that changes show in diffs."""
    lines = [json.dumps(exchange, ensure_ascii=False) for exchange in exchanges]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def request(step: Step, api_key: str) -> dict[str, Any]:
    """Return the arguments of httpx's `request` for a filled step."""
    headers = {"Authorization": f"Bearer {api_key}"}
    if step.auth is not None:
        headers["Authorization"] = step.auth.replace("<api-key>", api_key)
    if not headers["Authorization"]:
        del headers["Authorization"]
    content = step.raw if step.raw is not None else None
    if step.body is not None:
        content = json.dumps(step.body)
    if content is not None:
        headers["Content-Type"] = "application/json"
    return {
        "method": step.method,
        "url": step.path,
        "headers": headers | step.headers,
        "content": content,
    }


def filled(step: Step, known: dict[str, str]) -> Step:
    """Return the step with captured values in place of their names."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for name, text in known.items():
                value = value.replace(f"<{name}>", text)
            return value
        if isinstance(value, dict):
            return {name: fill(item) for name, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    return Step(**{name: fill(value) for name, value in vars(step).items()})


def captured(response: httpx.Response, place: str) -> str:
    """Return what stands at a dotted path of a JSON answer, or in a header."""
    if place.startswith("header:"):
        return response.headers[place.removeprefix("header:")]
    value = response.json()
    for part in place.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)


def answer(response: httpx.Response) -> dict[str, Any]:
    """Return what a client can notice of an answer, normalised."""
    kind = response.headers.get("content-type", "")
    found = {"status": response.status_code, "type": kind}
    for name in ("etag", "www-authenticate", "allow"):
        if name in response.headers:
            found[name] = ", ".join(sorted(response.headers[name].split(", ")))
    found["body"] = normalised(response)
    return found


def normalised(response: httpx.Response) -> Any:
    """Return the body with times, secrets and build facts replaced by their kind."""
    path, text = response.request.url.path, response.text
    if "text/html" in response.headers.get("content-type", ""):
        return "<html>" if "<html" in text.lower() else text
    try:
        value = json.loads(text)
    except ValueError:
        return _clean(text)
    if "swagger" in value:
        return _interface(value)
    if "openapi" in value:
        return {"openapi": value["openapi"]}
    if path == "/version":
        return _kinds(value)
    return _walk(value)


def _interface(document: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a Swagger document by which a client tells versions apart."""
    paths = {
        re.sub(r"\{\w+\}", "{}", path): sorted(methods)
        for path, methods in document["paths"].items()
    }
    node = document["definitions"]["v1Node"]["properties"]
    return {"paths": dict(sorted(paths.items())), "v1Node": sorted(node)}


def _kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _kinds(item) for name, item in value.items()}
    return type(value).__name__


def _walk(value: Any, name: str = "") -> Any:
    if name == "prefix":
        return "<api-key>"
    if name == "aclTags":
        return sorted(value)  # 0.26 answers them in any order
    if name == "subnetRoutes":  # main answers them in any order, exit routes last
        return sorted(value, key=lambda route: (route in seeds.EXIT, route))
    if isinstance(value, dict):
        return {name: _walk(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_walk(item) for item in value]
        # both come in any order
        return sorted(items, key=json.dumps) if name in ("errors", "devices") else items
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    text = text.replace(BIG, "<big>")
    text = INSTANT.sub(lambda m: m[0] if MAY_STAY.match(m[0]) else "<time>", text)
    for pattern, name in SECRETS:
        text = pattern.sub(name, text)
    text = MACHINE.sub(lambda m: SEEDED.get(m[0], f"{m[1]}:<key>"), text)
    for pattern, word in WORDING:
        text = pattern.sub(word, text)
    return re.sub(r"(/[\w.-]+)+/policy\.hujson", "policy.hujson", text)
