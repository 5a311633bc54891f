"""What a merge leaves of referrals beside the figures."""

from tests.support.referral_world import ReferralWorld

IP = "203.0.113.5"


def merged(world: ReferralWorld, source: str, target: str) -> None:
    world.ok(world.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))


def rows(world: ReferralWorld) -> list[str]:
    """The beginnings of the sort keys of all that is noted of who referred whom, and from where."""
    found = [key.sk.partition("#")[0] for key in world.table.rows]
    return [each for each in found if each in ("REFERRED", "REFERRER", "SOURCE")]


def test_conversions_from_one_address_are_counted_across_a_merge_of_their_referrer(referring: ReferralWorld) -> None:
    path = f"/v1/referrals/programs/{referring.program}"
    referring.ok(referring.client.patch(path, {"limits": {"conversions_per_ip": 2}}))
    source, target = referring.contact("source"), referring.contact("target")
    codes = [referring.link(source), referring.link(target), referring.link(source)]
    for n, code in enumerate(codes):
        if n == 2:
            merged(referring, source, target)
            referring.settle()
        referring.come(f"b{n}", code, ip=IP)
        referring.track(f"b{n}", "paid")
    assert [row["status"] for row in referring.conversions()] == ["approved", "approved", "review"]


def test_a_purge_that_overtakes_the_news_of_a_merge_leaves_nothing_beside_those_who_were_merged(
    referring: ReferralWorld,
) -> None:
    referrer, heir = referring.contact("referrer"), referring.contact("heir")
    referring.come("bob", referring.link(referrer), ip=IP)
    referring.track("bob", "paid")
    for source in (referring.id_of("bob"), referrer):
        merged(referring, source, heir)
    assert rows(referring) != []
    referring.ok(referring.client.delete(f"/v1/contacts/{heir}", query={"purge": "true"}))
    referring.settle()
    assert rows(referring) == []
