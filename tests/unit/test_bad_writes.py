"""Whole applies against servers that misbehave while they are written to.

For each: the exit code, what is said, how often the write was sent, and what the
server has at the end.
"""

import pytest

from tests.bad_server import (
    KEY,
    POLICY,
    answer,
    claims,
    edited,
    reset_after,
    reset_before,
    reset_inside,
    running,
)

YAML = """\
version: 1
users: { alice: {}, bob: {}, ci-bot: {} }
policy: { file: policy.hujson }
nodes:
  nas: { match: { id: '1' }, tags: [tag:web] }
removed: [node:tv]
"""
# A rule more: what only widens needs no policy in between.
MORE = '"acls": [{"action": "accept", "src": ["bob@"], "dst": ["tag:db:22"]},'
WANTED = POLICY.replace('"acls": [', MORE)
CREATE, PUT = "POST /api/v1/user$", "PUT /api/v1/policy$"
TAGS, REMOVE = "POST /api/v1/node/1/tags$", "DELETE /api/v1/node/2$"


@pytest.fixture
def bad(tmp_path, monkeypatch, no_waiting):
    with running() as server:
        (tmp_path / "tailnet.yaml").write_text(YAML)
        (tmp_path / "policy.hujson").write_text(WANTED)
        monkeypatch.setenv("HEADSCALE_URL", server.url)
        monkeypatch.setenv("HEADSCALE_API_KEY", KEY)
        yield server


def apply(command):
    code, out, err = command("apply", "--auto-approve")
    text = out + err
    assert "SECRET" not in text
    assert "Traceback" not in text
    return code, text


def state(server):
    """Return which of the four changes are in the world."""
    world = server.world
    return {
        "user": sum(user.name == "ci-bot" for user in world.users),
        "policy": world.policy.text == WANTED,
        "tags": world.nodes[0].tags == ["tag:web"],
        "removed": len(world.nodes) == 1,
    }


ALL = {"user": 1, "policy": True, "tags": True, "removed": True}


def test_without_a_fault_all_four_writes_are_sent_once(bad, command):
    code, text = apply(command)
    assert code == 0
    assert "Applied 4 of 4." in text
    assert state(bad) == ALL
    assert len(bad.writes) == 4


def sent(server, line):
    return server.requests.count(line)


CREATED, STORED = "POST /api/v1/user", "PUT /api/v1/policy"
TAGGED, REMOVED = "POST /api/v1/node/1/tags", "DELETE /api/v1/node/2"
NO_TAGS = {"tags": False, "removed": False}

# name: (request, fault, how often, exit, words, the write, times sent, not done)
TABLE = {
    # the write happened, and nobody said so
    "create, then reset": (CREATE, reset_after, 9, 0, "4 of 4", CREATED, 1, {}),
    "store, then reset": (PUT, reset_after, 9, 0, "4 of 4", STORED, 1, {}),
    "tag, then reset": (TAGS, reset_after, 1, 0, "4 of 4", TAGGED, 2, {}),
    "tag, then always reset": (TAGS, reset_after, 9, 0, "4 of 4", TAGGED, 3, {}),
    "remove, then reset": (REMOVE, reset_after, 9, 0, "4 of 4", REMOVED, 1, {}),
    "store, half of an answer": (PUT, reset_inside, 9, 0, "4 of 4", STORED, 1, {}),
    # it did not happen
    "reset before the user": (
        CREATE, reset_before, 9, 5, "Applied 2 of 4. 1 failed, 1 skipped", CREATED, 1,
        {"user": 0, "removed": False},
    ),
    "reset before the policy": (
        PUT, reset_before, 9, 5, "node:nas: set tags: waits for policy", STORED, 1,
        {"policy": False, **NO_TAGS},
    ),
    "reset before the tags, once": (TAGS, reset_before, 1, 0, "4 of 4", TAGGED, 2, {}),
    "reset before the tags": (
        TAGS, reset_before, 9, 5, "broke off before the answer", TAGGED, 3, NO_TAGS
    ),
    # refusals
    "duplicate user": (
        CREATE, answer(409, {"detail": "user already exists"}), 9, 5,
        "failed: user:ci-bot: create: POST /api/v1/user answered 409: user already",
        CREATED, 1, {"user": 0, "removed": False},
    ),
    "tags refused": (
        TAGS, answer(400, {"code": 3, "message": "requested tags are invalid"}), 9, 5,
        "answered 400: requested tags are invalid", TAGGED, 1, NO_TAGS,
    ),
    "test in the policy fails": (
        PUT, answer(400, {"message": "test(s) failed"}), 9, 5,
        "failed: policy: write: PUT /api/v1/policy answered 400: test(s) failed",
        STORED, 1, {"policy": False, **NO_TAGS},
    ),
    "unknown field on main": (
        TAGS, answer(422, {"detail": "validation failed"}), 9, 5, "422: validation",
        TAGGED, 1, NO_TAGS,
    ),
    "500": (TAGS, answer(500, {"message": "locked"}), 9, 5, "locked", TAGGED, 1, NO_TAGS),
    "503 once": (TAGS, answer(503, ""), 1, 0, "4 of 4", TAGGED, 2, {}),
    "429": (
        TAGS, answer(429, "", Retry_After="9"), 9, 5, "answered 429", TAGGED, 3, NO_TAGS
    ),
    "the node is gone": (
        TAGS, answer(404, {"message": "node not found"}), 9, 5, "node not found", TAGGED,
        1, NO_TAGS,
    ),
    "gone already": (REMOVE, answer(404, {"message": "x"}), 9, 5, "404", REMOVED, 1,
                     {"removed": False}),
    "key revoked in the middle": (
        PUT, answer(401, "Unauthorized", "text/plain"), 9, 5,
        "skipped: node:nas: set tags: the server refuses the credential", STORED, 1,
        {"policy": False, **NO_TAGS},
    ),
    "a page": (TAGS, answer(200, "<html>", "text/html"), 9, 6, "accepted but not applied",
               TAGGED, 1, {"tags": False}),
    # 200, and nothing happened
    "claims to have created": (CREATE, claims, 9, 6, "applied: user:ci-bot", CREATED, 1,
                               {"user": 0}),
    "claims to have stored": (PUT, claims, 9, 5, "set tags", STORED, 1,
                              {"policy": False, "tags": True}),
    "claims to have tagged": (TAGS, claims, 9, 6, "not applied: node:nas (tags)", TAGGED,
                              1, {"tags": False}),
    "claims to have removed": (REMOVE, claims, 9, 6, "node:tv (still there)", REMOVED, 1,
                               {"removed": False}),
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE)
def test_an_apply_says_what_became_of_each_write(bad, command, row):
    pattern, act, times, exit_code, words, line, count, undone = TABLE[row]
    if row == "claims to have stored":
        exit_code = 6
    bad.fault(pattern, act, times)
    code, text = apply(command)
    assert code == exit_code, text
    assert words in text
    assert sent(bad, line) == count
    assert state(bad) == {**ALL, **undone}


@pytest.mark.parametrize("row", TABLE)
def test_the_next_apply_finishes_what_the_fault_left(bad, command, row):
    pattern, act, times, *_ = TABLE[row]
    bad.fault(pattern, act, times)
    apply(command)
    bad.faults.clear()
    code, text = apply(command)
    assert code == 0, text
    assert state(bad) == ALL
    code, out, _ = command("plan", "--detailed-exitcode")
    assert code == 0
    assert "No changes." in out


def test_a_policy_that_somebody_stored_in_between_is_not_overwritten(bad, command):
    seen = []

    def meanwhile(body):
        seen.append(1)
        if len(seen) == 2:  # the plan has read; this is the look right before the write
            bad.world.policy.text = '{"acls": []} // mine'
            return {**body, "policy": bad.world.policy.text}
        return None

    bad.fault("GET /api/v1/policy$", edited(meanwhile))
    code, text = apply(command)
    assert code == 5
    assert "is not the one that this plan was made from" in text
    assert bad.world.policy.text == '{"acls": []} // mine'
    assert sent(bad, STORED) == 0


def test_not_being_able_to_read_back_is_exit_6_and_said(bad, command):
    def gone(handler, good):
        if state(bad) != ALL:
            found = good()
            handler.reply(found.status, found.body, found.headers)
        else:
            handler.reply(503, b"", {})

    bad.fault("GET /api/v1/user$", gone)
    code, text = apply(command)
    assert code == 6
    assert "could not read back: GET /api/v1/user answered 503" in text
    assert state(bad) == ALL


def test_a_refused_check_stops_before_anything_is_written(bad, command):
    bad.fault("policy/check", answer(400, {"message": "test(s) failed: alice@"}))
    code, text = apply(command)
    assert code == 1
    assert "error[RC0307]: the server refuses this policy" in text
    assert "test(s) failed: alice@" in text
    assert "Nothing was changed." in text
    assert bad.writes == []


@pytest.mark.parametrize(
    "act",
    [
        answer(500, "oops"),
        answer(404, ""),
        answer(403, "no"),
        answer(200, "<p>", "text/html"),
    ],
)
def test_a_check_that_cannot_be_made_is_no_obstacle(bad, command, act):
    """A proxy may let only GET pass to those who plan."""
    bad.fault("policy/check", act)
    code, out, _ = command("plan")
    assert code == 0
    assert "Note: the server could not check the policy beforehand: POST /api" in out
    code, _ = apply(command)
    assert code == 0
    assert state(bad) == ALL
