"""A tailnet with its policy, as whoever seeds it knows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconcile.model import EXIT_ROUTES

Policy = dict[str, Any]
_OLD = ("0.26", "0.27")  # whose nodes may have tags that nobody gave to them


@dataclass(frozen=True)
class Person:
    """A user; one with `provider_id` comes from an identity provider."""

    id: int
    name: str = ""  # some users of identity providers have none
    email: str = ""
    provider_id: str = ""


@dataclass(frozen=True)
class Device:
    """A node. `user` is the id of its owner, who owns it as long as it has no tag.

    `asked` are the tags that the client asks for (see `State.worn`). An address is "" where the node has none of its family.
    """

    id: int
    name: str
    user: int
    tags: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    v4: str = ""
    v6: str = ""
    asked: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.v4, self.v6)))

    @property
    def owner(self) -> int | None:
        """The id of the user by whom policies select it, None for a tagged one."""
        return None if self.tags else self.user

    @property
    def usable(self) -> frozenset[str]:
        """The routes that others can use: advertised and approved."""
        return frozenset(self.routes) & frozenset(self.approved)

    @property
    def subnets(self) -> frozenset[str]:
        return self.usable - EXIT_ROUTES

    @property
    def is_exit(self) -> bool:
        return bool(self.usable & EXIT_ROUTES)

    @property
    def offers_exit(self) -> bool:
        """Whether it offers itself as an exit node, approved or not."""
        return not EXIT_ROUTES.isdisjoint(self.routes)


@dataclass(frozen=True)
class State:
    """Users, nodes and a policy; None is no policy at all."""

    people: tuple[Person, ...]
    devices: tuple[Device, ...]
    policy: Policy | None = field(default=None, hash=False)

    def person(self, number: int | None) -> Person | None:
        return next((p for p in self.people if p.id == number), None)

    def fitting(self, token: str) -> list[int]:
        """Return the ids of the users that a token of a policy fits.

        It means somebody only where it fits one.
        """
        plain = token.removesuffix("@")
        exact = [p.id for p in self.people if p.provider_id and p.provider_id == plain]
        return exact[:1] or [p.id for p in self.people if plain in (p.email, p.name)]

    def worn(self, device: Device, release: str) -> frozenset[str]:
        """Return the tags of a device that rules heed.

        Up to 0.27, one to which nobody gave a tag has those that it asks for and that
        its user owns.
        """
        if device.tags or release not in _OLD:
            return frozenset(device.tags)
        policy = self.policy or {}
        owners, groups = policy.get("tagOwners", {}), policy.get("groups", {})
        return frozenset(
            tag
            for tag in device.asked
            for name in owners.get(tag, ())
            for token in groups.get(name, [name])
            if self.fitting(token) == [device.user]
        )

    def with_allowed_tags(self, release: str) -> "State":
        """Return the state in which devices ask for no tag that they may not have."""
        state = self
        for device in self.devices:
            asked = tuple(sorted(self.worn(device, release).difference(device.tags)))
            state = state.with_device(device.id, asked=asked)
        return state

    def untold_tags(self, release: str) -> bool:
        """Tell whether a device asks for tags of which servers do not tell.

        That is a tag that it may not have, or that somebody has given to it as well.
        """
        return release in _OLD and any(
            not self.worn(d, release).issuperset(d.asked) or {*d.asked} & {*d.tags}
            for d in self.devices
        )

    def device(self, number: int) -> Device:
        return next(d for d in self.devices if d.id == number)

    def with_device(self, number: int, **fields: Any) -> "State":
        """Return the state in which a node has other fields."""
        devices = (replace(d, **fields) if d.id == number else d for d in self.devices)
        return replace(self, devices=tuple(devices))

    def without_device(self, number: int) -> "State":
        rest = tuple(d for d in self.devices if d.id != number)
        return replace(self, devices=rest)

    def with_approved(self, approved: Mapping[int, Iterable[str]]) -> "State":
        """Return the state with the approved routes that a server tells, by id."""
        devices = (
            replace(d, approved=tuple(sorted(approved[d.id])))
            for d in self.devices
            if d.id in approved
        )
        return replace(self, devices=tuple(devices))


def to_json(state: State) -> dict[str, Any]:
    """Return a state as JSON, what is empty left out."""
    return {
        "people": [_filled(vars(person)) for person in state.people],
        "devices": [_filled(vars(device)) for device in state.devices],
        "policy": state.policy,
    }


def from_json(value: Mapping[str, Any]) -> State:
    """Return the state that `to_json` wrote."""
    devices = (
        {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        for entry in value["devices"]
    )
    return State(
        tuple(Person(**entry) for entry in value["people"]),
        tuple(Device(**entry) for entry in devices),
        value["policy"],
    )


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if value not in ("", ())}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
