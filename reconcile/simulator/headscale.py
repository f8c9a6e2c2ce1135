"""A Headscale server on the wire: which path answers what, and to whom."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import unquote

from reconcile.simulator import (
    bodies,
    enrol,
    keys,
    nodes,
    policy,
    users,
    version2,
    wire,
)
from reconcile.simulator.call import Call, Route
from reconcile.simulator.release import Release
from reconcile.simulator.wire import (
    NOT_FOUND,
    UNIMPLEMENTED,
    Refusal,
    Request,
    Response,
    plain,
)
from reconcile.simulator.world import Node, World, now

PAGE = (
    "<!DOCTYPE html>\n<html><head><title>headscale</title></head><body></body></html>\n"
)
PAGE_TYPE = "text/html; charset=utf-8"
OPENAPI_TYPE = "application/openapi+json"


def _health(_call: Call) -> dict[str, Any]:
    return {"databaseConnectivity": True}


def _has_health(release: Release) -> bool:
    return release.has_health


ROUTES: tuple[Route, ...] = (
    Route("GET", "health", _health, available=_has_health),
    *users.ROUTES,
    *enrol.ROUTES,
    *nodes.ROUTES,
    *keys.ROUTES,
    *policy.ROUTES,
)


def handle(world: World, request: Request) -> Response:
    """Answer one request, and change the world where it says so."""
    path = request.path
    if path.startswith("/api/v1/"):
        response = _api(world, request, path.removeprefix("/api/v1/"))
    elif path.startswith("/api/v2/") and world.release.problem_json:
        response = _second_api(world, request, path.removeprefix("/api/v2/"))
    else:
        response = _root(world, request)
    if request.method == "HEAD":
        return Response(response.status, response.headers)
    return response


def _root(world: World, request: Request) -> Response:
    release = world.release
    guarded = release.guards_api_paths and request.path.startswith("/api/")
    if guarded and not _authorized(world, request):
        return plain(401, "Unauthorized")
    document: Any = None
    if request.path == "/version" and release.has_version:
        document = _version(world)
    if request.path == "/health":
        document = {"status": "pass"}
    if request.path == "/swagger/v1/openapiv2.json" and not release.problem_json:
        document = _swagger(release)
    if document is not None and request.method == "GET":
        return _document(request, document)
    if release.catch_all_page or (request.path == "/" and release.root_page):
        return plain(200, PAGE, PAGE_TYPE)
    if request.path == "/version" and release.version_has_methods:
        return Response(405, {"Allow": "GET"})
    return plain(404, release.unknown_root)


def _document(request: Request, document: Any) -> Response:
    kinds = {
        "/health": "application/health+json; charset=utf-8",
        "/version": "application/json",
    }
    kind = kinds.get(request.path, "application/json; charset=utf-8")
    return Response(200, {"Content-Type": kind}, json.dumps(document).encode())


def _version(world: World) -> dict[str, Any]:
    return {
        "version": world.version or world.release.version,
        "commit": "simulated",
        "buildTime": "unknown",
        "go": {"version": "go1.26", "os": "linux", "arch": "amd64"},
        "dirty": False,
    }


def _swagger(release: Release) -> dict[str, Any]:
    """Return the interface document, as far as a client reads it to tell versions."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if route.available(release):
            paths.setdefault(f"/api/v1/{route.path}", {})[route.method.lower()] = {}
    shown = nodes.view(World(release.name), Node(1, "node"))
    return {
        "swagger": "2.0",
        "paths": paths,
        "definitions": {
            "v1Node": {"type": "object", "properties": {name: {} for name in shown}}
        },
    }


def _api(world: World, request: Request, path: str) -> Response:
    release = world.release
    if release.problem_json:
        return _strict_api(world, request, path)
    if not _authorized(world, request):
        return plain(_refusal_status(world, request), "Unauthorized")
    # the gateway decodes the whole path first: an encoded slash divides it too
    matches = _matching(release, unquote(path).split("/"))
    return _answered(world, request, matches)


def _matching(release: Release, parts: list[str]) -> list[tuple[Route, dict[str, str]]]:
    found = []
    for route in ROUTES:
        parameters = route.match(parts) if route.available(release) else None
        if parameters is not None:
            found.append((route, parameters))
    return found


def _strict_api(world: World, request: Request, path: str) -> Response:
    if path in ("openapi.json", "openapi.yaml", "docs"):
        return _openapi(world.release)
    matches = _matching(world.release, [unquote(part) for part in path.split("/")])
    matches = [(route, found) for route, found in matches if all(found.values())]
    allowed = sorted({route.method for route, _ in matches})
    if not matches:
        return plain(404, "404 page not found\n")
    if request.method not in allowed:
        return Response(405, {"Allow": ", ".join(allowed)})
    if not _authorized(world, request):
        refusal = Refusal(wire.INVALID, "Unauthorized", 401)
        return refusal.response(world.release, world.spaced)
    return _answered(world, request, matches)


def _openapi(release: Release) -> Response:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/api/v1/{route.path}", {})[route.method.lower()] = {}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Headscale API", "version": "v1"},
        "paths": paths,
    }
    return wire.answer(document, release, kind=OPENAPI_TYPE)


def _answered(
    world: World, request: Request, matches: list[tuple[Route, dict[str, str]]]
) -> Response:
    try:
        route, parameters = _chosen(request.method, matches)
        call = Call(world, request, parameters, request.parameters)
        if route.body is not None:
            call.body = bodies.read(
                request, route.body, world.release, route.body_optional
            )
        return wire.answer(route.handler(call), world.release, world.spaced)
    except Refusal as refusal:
        return refusal.response(world.release, world.spaced)


def _chosen(
    method: str, matches: list[tuple[Route, dict[str, str]]]
) -> tuple[Route, dict[str, str]]:
    for route, parameters in matches:
        if route.method == method:
            return route, parameters
    if matches:
        raise Refusal(UNIMPLEMENTED, "Method Not Allowed")
    raise Refusal(NOT_FOUND, "Not Found")


def _second_api(world: World, request: Request, path: str) -> Response:
    if path == "openapi.json":
        return _openapi(world.release)
    parts = [unquote(part) for part in path.split("/")]
    known = parts[0] in ("tailnet", "device")
    if known and not _authorized(world, request, basic=True):
        return version2.problem(401, "unauthorized")
    return version2.handle(world, request, parts) or plain(404, "404 page not found\n")


def _authorized(world: World, request: Request, *, basic: bool = False) -> bool:
    scheme, _, token = request.header("authorization").partition(" ")
    if basic and scheme == "Basic":
        token = _user_name(token)
    elif scheme != "Bearer":
        return False
    for key in world.api_keys:
        if key.key == token:
            return key.expiration > now()
    return bool(token) and bool(world.any_key)


def _user_name(token: str) -> str:
    try:
        return base64.b64decode(token).decode("utf-8", "replace").partition(":")[0]
    except binascii.Error:
        return ""


def _refusal_status(world: World, request: Request) -> int:
    """Return the status for a refused key: 0.26 answers 500 to one it never made."""
    token = request.header("authorization").removeprefix("Bearer ")
    known = any(key.key == token for key in world.api_keys)
    bearer = request.header("authorization").startswith("Bearer ")
    return world.release.wrong_key_status if bearer and not known else 401
