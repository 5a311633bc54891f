"""Give contacts their links, follow them, and take them away with their contacts."""

from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from chalicelib.core import events
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.codes import service as codes
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Link
from chalicelib.flows.referrals import people
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import ConditionFailed, Op
from chalicelib.readings import referral_link


def make(
    tenant: Tenant, program_id: str, contact_id: str, channel: str, now: int, receipt: Receipt
) -> tuple[Link, bool]:
    """The contact's link of that program and channel, and whether it is new. Raises ValidationFailed for what is not
    there."""
    from chalicelib.flows.referrals.answers import shown_link

    program, contact = referrals.find(tenant, program_id), people.active(tenant, contact_id)
    found = {"program_id": program, "contact_id": contact}
    if program is None or contact is None:
        faults = [detail(name, "not_found", "There is none with that id.") for name, each in found.items() if not each]
        raise ValidationFailed("The link can't be made.", details=faults)
    project = projects.get(tenant)

    def commit(ops: Sequence[Op], made: Link) -> None:
        answer = shown_link(made, codes.url(project.referral_base_url, made.code), made.contact_id, 0)
        receipt.commit(ops, 201, answer.model_dump(mode="json"))

    made, is_new = referral_link.run(tenant, program, contact, project, channel, now, commit)
    if not is_new:
        url, clicks = codes.url(project.referral_base_url, made.code), referrals.clicks(tenant, [made.id])
        receipt.commit([], 200, shown_link(made, url, contact.id, clicks[made.id]).model_dump(mode="json"))
    return made, is_new


def follow(text: str, *, counts: bool) -> str | None:
    """Where a code leads, with `ref` in its query; None where nobody has it, or it leads nowhere. One read, and one
    write where it `counts`: in a test project one more read, of its clock."""
    found = codes.find(text)
    if found is None or found[1].landing_url is None:
        return None
    tenant, code = found
    if counts:
        of = ("link_id", "program_id") if code.kind == "link" else ("entry_id", "waitlist_id")
        data = dict(zip(of, (code.item_id, code.parent_id), strict=True))
        data |= {"link_code": code.code, "contact_id": code.contact_id}
        table.write(outbox.emit(tenant, events.REFERRAL_LINK_CLICKED, data, projects.now(tenant)))
    return with_ref(found[1].landing_url, code.code)


def with_ref(url: str, code: str) -> str:
    """The address with `ref` in its query, in the place of one that was there; else that stays as it is."""
    parts = urlsplit(url)
    others = [each for each in parts.query.split("&") if each and each.partition("=")[0] != "ref"]
    query = "&".join([*others, f"ref={code}"])
    return urlunsplit(parts._replace(query=query, path=parts.path or "/"))


def contact_deleted(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Take the links of deleted contacts away, on the bus: their codes lead nowhere any more. May be repeated."""
    for event in told:
        for pointer, link in referrals.links_of(tenant, str(event.data["contact_id"])):
            ops: list[Op] = [referrals.remove_channel(pointer)]
            if link is not None:
                ops += [codes.remove_op(tenant, link.code), referrals.remove_link(tenant, link)]
            try:
                table.transact(ops)
            except ConditionFailed:
                continue
