"""The adapter's half of each trap of Headscale's wire: what is sent, how it is read."""

import json
from datetime import timedelta

import httpx
import pytest

from reconcile.errors import (
    AuthError,
    NotAControlServer,
    NotFound,
    Rejected,
    ServerError,
    StalePlan,
)
from reconcile.live.credential import Secret
from reconcile.live.headscale.wire import nodes, parse_instant, users
from reconcile.live.server import connect
from reconcile.model import Operation, PolicyText, User
from tests.support import NOW


class Wire(httpx.BaseTransport):
    """Answers from a table and keeps every request that is not a GET."""

    def __init__(self, **answers):
        self.answers = {"/version": {"version": "v0.29.2"}, **answers}
        self.sent = []
        self.timeouts = []

    def handle_request(self, request):
        path = request.url.raw_path.decode()
        if request.method != "GET":
            body = json.loads(request.read() or b"null")
            self.sent.append((request.method, path, body))
            self.timeouts.append(request.extensions["timeout"]["read"])
        found = self.answers.get(request.url.path, {})
        found = self.answers.get(f"{request.method} {request.url.path}", found)
        if isinstance(found, httpx.Response):
            return found
        if callable(found):
            return found()
        return httpx.Response(200, json=found)


def server(wire, key="key", **options):
    return connect(
        "http://hs",
        Secret(key),
        writable=True,
        transport=wire,
        clock=lambda: NOW,
        **options,
    )


def written(verb, number="7", value=None, before=None, **answers):
    """Return the requests of one write."""
    wire = Wire(**answers)
    server(wire).write(Operation(verb, "x", number, value, before))
    return wire.sent


# -- writes ----------------------------------------------------------------------------


def test_an_expiry_date_stands_in_both_places():
    """0.27 to 0.29 read the query, main the body; the wrong place means "now"."""
    (sent,) = written("node.expiry", value=NOW + timedelta(days=1))
    assert sent == (
        "POST",
        "/api/v1/node/7/expire?expiry=2030-01-02T12%3A00%3A00Z",
        {"expiry": "2030-01-02T12:00:00Z"},
    )


def test_no_expiry_stands_in_both_places():
    (sent,) = written("node.expiry", value=None)
    assert sent == (
        "POST",
        "/api/v1/node/7/expire?disableExpiry=true",
        {"disableExpiry": True},
    )


@pytest.mark.parametrize("ago", [0, 1, 900])
def test_a_past_date_is_sent_as_now_without_any_option(ago):
    (sent,) = written("node.expiry", value=NOW - timedelta(days=ago))
    assert sent == ("POST", "/api/v1/node/7/expire", {})


def test_names_are_percent_encoded_into_paths():
    (sent,) = written("user.rename", value="a/../b?c#d e@é")
    assert sent[1] == "/api/v1/user/7/rename/a%2F..%2Fb%3Fc%23d%20e%40%C3%A9"
    (sent,) = written("node.name", value="x/policy/check")
    assert sent[1] == "/api/v1/node/7/rename/x%2Fpolicy%2Fcheck"


def test_a_new_user_is_sent_without_what_is_empty():
    """main refuses unknown fields, and the profile can be set only now."""
    user = User("", "alice", "Alice", "")
    (sent,) = written("user.create", value=user)
    assert sent == ("POST", "/api/v1/user", {"name": "alice", "displayName": "Alice"})


def test_lists_are_sent_sorted_and_whole():
    (sent,) = written("node.tags", value=frozenset({"tag:b", "tag:a"}))
    assert sent == ("POST", "/api/v1/node/7/tags", {"tags": ["tag:a", "tag:b"]})
    (sent,) = written("node.routes", value=frozenset())
    assert sent == ("POST", "/api/v1/node/7/approve_routes", {"routes": []})


def test_removals_have_no_body():
    assert written("node.remove") == [("DELETE", "/api/v1/node/7", None)]
    assert written("user.remove") == [("DELETE", "/api/v1/user/7", None)]


def test_a_body_is_json_and_says_so():
    """main answers 415 to a form, which is what many clients send unasked."""
    seen = []

    class Typed(Wire):
        def handle_request(self, request):
            seen.append(request.headers.get("content-type"))
            return super().handle_request(request)

    server(Typed()).write(Operation("node.tags", "x", "7", frozenset({"tag:é"})))
    assert seen[-1] == "application/json"


STORED = {"policy": "{}", "updatedAt": "2030-01-01T00:00:00Z"}


def test_a_policy_is_sent_byte_for_byte_as_one_text():
    text = '// é\r\n{"acls": [],}\t\n'
    sent = written("policy.set", value=text, before="{}", **{"/api/v1/policy": STORED})
    assert sent == [("PUT", "/api/v1/policy", {"policy": text})]


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_policy_is_never_sent(text):
    """Every release takes it, and allows everything after its next restart."""
    wire = Wire(**{"/api/v1/policy": STORED})
    with pytest.raises(Rejected, match="an empty policy is never sent"):
        server(wire).write(Operation("policy.set", "policy", value=text, before="{}"))
    assert wire.sent == []


@pytest.mark.parametrize("before", [None, "", '{"acls": []}'])
def test_a_policy_of_somebody_else_is_not_overwritten(before):
    """v1 ignores If-Match, so the text is compared right before the write."""
    wire = Wire(**{"/api/v1/policy": STORED})
    with pytest.raises(StalePlan, match="not the one that this plan was made from"):
        server(wire).write(Operation("policy.set", "policy", value="x", before=before))
    assert wire.sent == []


def test_the_first_policy_is_written_where_there_is_none():
    none = httpx.Response(
        500,
        json={"code": 2, "message": "loading ACL from database: acl policy not found"},
    )
    answers = {"/api/v1/policy": none, "PUT /api/v1/policy": {}}
    sent = written("policy.set", value="{}", before=None, **answers)
    assert sent == [("PUT", "/api/v1/policy", {"policy": "{}"})]


def test_writes_wait_longer_the_more_nodes_there_are():
    """10,000 nodes: one change of tags takes 25 s, so a fixed 30 s would fail."""
    many = {"nodes": [wire_node(id=str(n), givenName=f"n{n}") for n in range(4000)]}
    wire = Wire(**{"/api/v1/node": many})
    one = server(wire)
    one.write(Operation("node.tags", "x", "7", frozenset()))
    one.read({"node"})
    one.write(Operation("node.tags", "x", "7", frozenset()))
    assert wire.timeouts == [120, 150]  # of unread nodes there may be many


def test_a_timeout_that_was_chosen_holds_for_writes_too():
    wire = Wire(**{"/api/v1/node": {"nodes": [wire_node()]}})
    one = server(wire, timeout=5)
    one.read({"node"})
    one.write(Operation("node.tags", "x", "7", frozenset()))
    assert wire.timeouts == [5]


@pytest.mark.parametrize(
    "verb", ["user.create", "node.name", "node.remove", "policy.set"]
)
def test_a_write_that_cannot_be_repeated_is_sent_once(verb):
    def broken():
        raise httpx.ReadError("connection reset by peer")

    value = User("", "alice") if verb == "user.create" else "x"
    lines = (
        "POST /api/v1/user",
        "POST /api/v1/node/7/rename/x",
        "DELETE /api/v1/node/7",
        "PUT /api/v1/policy",
    )
    wire = Wire(**dict.fromkeys(lines, broken), **{"/api/v1/policy": STORED})
    with pytest.raises(ServerError, match="broke off"):
        server(wire).write(Operation(verb, "x", "7", value, "{}"))
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, {"code": 2, "message": "node not found"}, NotFound),
        (500, {"code": 13, "message": "deleting user: user not found"}, NotFound),
        (404, {"title": "Not Found", "detail": "x"}, NotFound),
        (500, {"code": 13, "message": "UNIQUE constraint failed"}, Rejected),
        (409, {"title": "Conflict", "detail": "user already exists"}, Rejected),
        (422, {"detail": "validation failed"}, Rejected),
        (413, {"detail": "too large"}, Rejected),
        (415, {"detail": "unsupported"}, Rejected),
        (401, {}, AuthError),
        (403, {"message": "scope"}, AuthError),
        (501, {"code": 12, "message": "Method Not Allowed"}, ServerError),
    ],
)
def test_errors_of_both_worlds_are_told_apart(status, body, error):
    """Up to 0.29 most of what is not found is a 500."""
    answer = httpx.Response(status, json=body)
    with pytest.raises(error) as caught:
        written("node.remove", **{"/api/v1/node/7": answer})
    assert type(caught.value) is error


# -- reads -----------------------------------------------------------------------------


def wire_node(**fields):
    """A node as 0.28 lists it, with some fields replaced."""
    return {
        "id": "7",
        "machineKey": "mkey:1",
        "nodeKey": "nodekey:1",
        "ipAddresses": ["100.64.0.8", "fd7a:115c:a1e0::8"],
        "name": "Host Name",
        "user": {"id": "1", "name": "alice"},
        "lastSeen": "2026-11-22T18:00:56.407822499Z",
        "expiry": None,
        "preAuthKey": {"id": "6", "key": "hskey-auth-x-***", "ephemeral": False},
        "createdAt": "2026-11-22T18:00:31.501405104Z",
        "givenName": "tagged",
        "online": False,
        "approvedRoutes": [],
        "availableRoutes": [],
        "subnetRoutes": [],
        "tags": [],
        **fields,
    }


def read(**fields):
    (found,) = nodes({"nodes": [wire_node(**fields)]})
    return found


def test_the_unique_name_is_the_given_one_and_the_other_is_the_devices():
    found = read()
    assert (found.name, found.hostname) == ("tagged", "Host Name")


def test_tagged_devices_is_nobody():
    """From 0.28 on the list shows a made-up user as the owner of a tagged node."""
    owner = {"id": "2147455555", "name": "tagged-devices"}
    assert read(tags=["tag:web"], user=owner).user_id is None
    assert read(tags=["tag:web"], user=None).user_id is None
    namesake = {"id": "5", "name": "tagged-devices"}
    assert read(tags=["tag:web"], user=namesake).user_id == "5"


def test_before_028_a_tagged_node_keeps_its_user_and_forced_tags_count():
    fields = wire_node(forcedTags=["tag:a"], validTags=["tag:a", "tag:b"])
    del fields["tags"]
    (found,) = nodes({"nodes": [fields]})
    assert (found.user_id, found.tags) == ("1", {"tag:a"})


def test_tags_of_027_may_come_twice_and_in_any_order():
    assert read(tags=["tag:b", "tag:a", "tag:b"]).tags == {"tag:a", "tag:b"}


@pytest.mark.parametrize("unset", [None, "0001-01-01T00:00:00Z", ""])
def test_zero_times_mean_never(unset):
    assert read(expiry=unset).expiry is None


def test_routes_are_read_in_one_spelling_and_keep_host_bits():
    found = read(approvedRoutes=["FD00:0:0::/48", "10.2.0.5/24", "::/0"])
    assert found.approved == {"fd00::/48", "10.2.0.5/24", "::/0"}


def test_a_list_is_complete_or_an_error():
    assert users({"users": []}) == ()
    with pytest.raises(NotAControlServer):
        users({"users": None})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22T18:00:56Z", "2026-11-22T18:00:56+00:00"),
        ("2026-11-22T18:00:56.4Z", "2026-11-22T18:00:56.400000+00:00"),
        ("2026-11-22T18:00:56.407822499Z", "2026-11-22T18:00:56.407822+00:00"),
        ("2026-11-22T18:00:56.999999999Z", "2026-11-22T18:00:56.999999+00:00"),
        ("2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01T02:00:00.123456789-01:30", "2030-01-01T03:30:00.123456+00:00"),
    ],
)
def test_times_come_with_any_number_of_digits_and_any_zone(text, shown):
    assert parse_instant(text).isoformat() == shown


@pytest.mark.parametrize("updated", [None, "0001-01-01T00:00:00Z"])
def test_file_mode_shows_itself_by_a_missing_time(updated):
    """null up to 0.29, zero on main; found without a write."""
    wire = Wire(**{"/api/v1/policy": {"policy": "{}", "updatedAt": updated}})
    live = server(wire).read({"policy"})
    assert live.policy == PolicyText("{}", writable=False)
    assert "policy.mode: file" in live.server.lacks("policy.write")
    assert wire.sent == []


@pytest.mark.parametrize(
    "body",
    [
        {"code": 2, "message": "loading ACL from database: acl policy not found"},
        {"detail": "getting policy", "errors": [{"message": "acl policy not found"}]},
    ],
)
def test_no_policy_at_all_is_a_500_and_no_error(body):
    wire = Wire(**{"/api/v1/policy": httpx.Response(500, json=body)})
    assert server(wire).read({"policy"}).policy == PolicyText(None, writable=True)


def test_file_mode_without_a_file_has_no_policy_to_read():
    body = {"code": 2, "message": 'reading policy from path "": open : no such file'}
    wire = Wire(**{"/api/v1/policy": httpx.Response(500, json=body)})
    assert server(wire).read({"policy"}).policy == PolicyText(None, writable=False)


def test_the_page_that_028_answers_for_any_path_is_no_version():
    """Its status is 200, so the content type has to be looked at."""
    page = httpx.Response(200, html="<html></html>")
    with pytest.raises(NotAControlServer, match="a web page"):
        server(Wire(**{"/version": page}))


def test_the_credential_is_told_apart_from_the_keys_of_others():
    wire = Wire(
        **{
            "/api/v1/apikey": {
                "apiKeys": [
                    {
                        "prefix": "hskey-api-other-***",
                        "expiration": "2031-01-01T00:00:00Z",
                    },
                    {
                        "prefix": "hskey-api-mine-***",
                        "expiration": "2032-01-01T00:00:00Z",
                    },
                ]
            }
        }
    )
    assert server(wire, "hskey-api-mine-SECRET").credential_expiry().year == 2032
    assert server(wire, "hskey-api-none-SECRET").credential_expiry() is None
