"""What tells the emulated versions apart, as one table: every version test is here.

Facts that a client can notice; the recordings under tests/contract hold them honest.
"""

from dataclasses import dataclass

from reconcile.source.variables import quoted


@dataclass(frozen=True)
class Release:
    """How one version of the control server behaves on the wire."""

    name: str
    version: str
    # the first gRPC gateway answers {"code", "message"}; main answers RFC 7807
    problem_json: bool = False
    wrong_key_status: int = 401
    has_version: bool = True
    version_has_methods: bool = True
    has_health: bool = True
    # any unknown path outside the API answers 200 with a web page
    catch_all_page: bool = False
    root_page: bool = False
    unknown_root: str = ""
    user_name_rules: bool = False
    user_error_code: int = 13
    user_error_prefix: str = ""
    rename_error_prefix: str = "updating user: "
    renames_oidc_users: bool = True
    # after a rename, the nodes of the user show the old name until a restart
    nodes_show_old_names: bool = True
    # a user without any name is shown under its id
    nameless_shows_id: bool = True
    delete_user_wipes_keys: bool = False
    tagged_nodes_have_no_user: bool = True
    set_tags_keeps_owner: bool = False
    can_untag: bool = False
    can_move: bool = False
    tags_sorted: bool = True
    # what a running server knows and its database does not
    lost_at_restart: frozenset[str] = frozenset()
    node_names: str = "label"
    long_name_suffix: bool = False
    raw_hostnames: bool = True
    name_taken: str = "node name is not unique: "
    own_name_taken: bool = False
    node_gone: str = "node no longer exists in NodeStore: {}"
    unknown_node_code: int = 5
    move_of_unknown: str = "record not found"
    move_to_unknown: str = "user not found"
    write_answers_know_online: bool = True
    expire_from: str = "query"
    can_disable_expiry: bool = True
    # 0.26 looks again only when the text is another one
    same_policy_approves: bool = True
    registered_routers_serve: bool = True
    sets_last_seen: bool = True
    name_filler: str = "-"
    guards_api_paths: bool = False
    routes_by_length: bool = False
    offline_routers_serve: bool = False
    registration_prefix: str = "hskey-authreq-"
    debug_keeps_routes: bool = False
    register_prefix: str = ""
    approves_after_answer: bool = False
    # what is approved at registration shows after a restart only
    hides_first_approval: bool = False
    # a device that joins with an untagged key gets a zero expiry; 0.27: with any key
    zero_expiry_of: frozenset[str] = frozenset()
    # a node that is deleted gives up its place as a router if it is connected
    deleting_disconnects: bool = True
    # "nas-1" is "nas" again after a restart, like the node whose name it is
    forgets_suffix: bool = False
    frees_addresses: bool = True
    keys_by_id: bool = True
    unknown_key_is_an_error: bool = False
    has_policy_check: bool = True
    has_auth_routes: bool = True
    tag_space_error: str = "tags must not contain spaces"
    # a name that stands twice in a policy is no error
    takes_names_twice: bool = False


RELEASES = {
    release.name: release
    for release in (
        Release(
            "0.26",
            "v0.26.1",
            wrong_key_status=500,
            has_version=False,
            version_has_methods=False,
            has_health=False,
            user_name_rules=True,
            user_error_code=2,
            rename_error_prefix="",
            renames_oidc_users=False,
            nodes_show_old_names=False,
            nameless_shows_id=False,
            tagged_nodes_have_no_user=False,
            can_untag=True,
            can_move=True,
            node_names="domain",
            long_name_suffix=True,
            name_taken="name is not unique: ",
            own_name_taken=True,
            node_gone="record not found",
            unknown_node_code=2,
            write_answers_know_online=False,
            expire_from="nowhere",
            can_disable_expiry=False,
            same_policy_approves=False,
            registered_routers_serve=False,
            frees_addresses=False,
            sets_last_seen=False,
            name_filler="",
            routes_by_length=True,
            offline_routers_serve=True,
            registration_prefix="",
            debug_keeps_routes=True,
            keys_by_id=False,
            has_policy_check=False,
            has_auth_routes=False,
            tag_space_error="tag should not contains space",
            takes_names_twice=True,
        ),
        Release(
            "0.27",
            "v0.27.1",
            version_has_methods=False,
            approves_after_answer=True,
            hides_first_approval=True,
            zero_expiry_of=frozenset({"tagged", "untagged"}),
            deleting_disconnects=False,
            frees_addresses=False,
            user_error_prefix="failed to create user: ",
            nameless_shows_id=False,
            tagged_nodes_have_no_user=False,
            can_untag=True,
            can_move=True,
            tags_sorted=False,
            lost_at_restart=frozenset({"approved", "tags", "expiry"}),
            node_names="hostname",
            long_name_suffix=True,
            raw_hostnames=False,
            name_taken="name is not unique: ",
            node_gone="node not found in NodeStore: {}",
            move_of_unknown="node not found: {}",
            move_to_unknown="user not found: user not found",
            can_disable_expiry=False,
            routes_by_length=True,
            offline_routers_serve=True,
            registration_prefix="",
            debug_keeps_routes=True,
            keys_by_id=False,
            has_policy_check=False,
            has_auth_routes=False,
            tag_space_error="tag should not contains space",
        ),
        Release(
            "0.28",
            "v0.28.0",
            approves_after_answer=True,
            zero_expiry_of=frozenset({"untagged"}),
            deleting_disconnects=False,
            catch_all_page=True,
            user_error_prefix="failed to create user: ",
            delete_user_wipes_keys=True,
            set_tags_keeps_owner=True,
            lost_at_restart=frozenset({"approved", "expiry"}),
            node_names="hostname",
            long_name_suffix=True,
            raw_hostnames=False,
            can_disable_expiry=False,
            routes_by_length=True,
            offline_routers_serve=True,
            registration_prefix="",
            debug_keeps_routes=True,
            has_policy_check=False,
            has_auth_routes=False,
            tag_space_error="tag should not contains space",
        ),
        Release(
            "0.29",
            "v0.29.2",
            user_error_prefix="creating user: ",
            register_prefix="looking up user: ",
            guards_api_paths=True,
            root_page=True,
            forgets_suffix=True,
            unknown_root="404 page not found\n",
        ),
        Release(
            "main",
            "v0.30.0-dev",
            problem_json=True,
            root_page=True,
            forgets_suffix=True,
            unknown_root="404 page not found\n",
            expire_from="body",
            unknown_key_is_an_error=True,
        ),
    )
}


def release_named(text: str) -> str:
    """Return the row for a version as people write it: 0.28, v0.28.0, main, 0.30.

    Raises ValueError when there is none.
    """
    short = ".".join(text.removeprefix("v").split(".")[:2])
    name = "main" if short in ("main", "0.30") else short
    if name not in RELEASES:
        raise ValueError(
            f"no version {quoted(text)} to emulate; known are {', '.join(RELEASES)}"
        )
    return name
