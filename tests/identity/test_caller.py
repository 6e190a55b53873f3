"""What a caller may use, and whose answers may be its own."""

from gateway.identity.caller import ANYBODY, Caller, caller


def test_who_is_not_asked_may_all() -> None:
    assert caller.get() is ANYBODY
    assert ANYBODY.may_use("any")
    assert ANYBODY.may_see("any")
    assert ANYBODY.is_admin
    assert ANYBODY.scope == b""


def test_what_is_not_named_is_not_allowed() -> None:
    who = Caller("t", routes=frozenset({"a"}), collections=frozenset())
    assert (who.may_use("a"), who.may_use("b"), who.may_see("a")) == (
        True,
        False,
        False,
    )


def test_answers_are_of_one_tenant_with_the_same_routes() -> None:
    def scope(tenant: str, *routes: str, key: str = "") -> bytes:
        return Caller(tenant, key=key, routes=frozenset(routes)).scope

    assert scope("t", "a", "b") == scope("t", "b", "a", key="k")
    different = [
        scope("t"),
        scope("t", "a"),
        scope("u", "a"),
        scope("t", "a", "b"),
        scope("t", "a, b"),
        Caller("t").scope,
        Caller("").scope,
    ]
    assert len(set(different)) == len(different)
