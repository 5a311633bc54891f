"""Referrals: programs, links, what came of them, and who referred most."""

from chalicelib.core.schema import EmptyBody, Page, PageQuery
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.schemas import (
    BoardQuery,
    ConversionsQuery,
    NewConversion,
    NewLink,
    NewProgram,
    ProgramPatch,
    RewardsQuery,
)
from chalicelib.flows.referrals import decide, define, link, read, record
from chalicelib.flows.referrals.answers import (
    BoardPage,
    ConversionAnswer,
    LinkAnswer,
    ProgramAnswer,
    ProgramDetail,
    RemovedProgram,
    RewardAnswer,
    detailed,
    fields,
)

router = Router("Referrals")


@router.post(
    "/v1/referrals/programs",
    scope="referrals:write",
    body=NewProgram,
    answer=ProgramDetail,
    status=201,
    idempotent=True,
)
def create_program(call: Call[None, NewProgram]) -> ProgramDetail:
    """Create a referral program."""
    return detailed(define.create(call.tenant, call.body, call.now, call.receipt), {})


@router.get("/v1/referrals/programs", scope="referrals:read", query=PageQuery, answer=Page[ProgramAnswer])
def list_programs(call: Call[PageQuery, None]) -> Page[ProgramAnswer]:
    """List referral programs, newest first."""
    rows, following = referrals.programs(call.tenant, call.query.limit, call.query.cursor)
    data = [ProgramAnswer(**fields(row)) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get("/v1/referrals/programs/{program_id}", scope="referrals:read", answer=ProgramDetail)
def get_program(call: Call[None, None]) -> ProgramDetail:
    """Get a referral program with its figures."""
    return read.program(call.tenant, call.path["program_id"])


@router.patch("/v1/referrals/programs/{program_id}", scope="referrals:write", body=ProgramPatch, answer=ProgramDetail)
def update_program(call: Call[None, ProgramPatch]) -> ProgramDetail:
    """Change a program. What was given by it stands; where its links lead changes within seconds."""
    define.change(call.tenant, call.path["program_id"], call.body, call.now)
    return read.program(call.tenant, call.path["program_id"])


@router.delete("/v1/referrals/programs/{program_id}", scope="referrals:write", answer=RemovedProgram)
def delete_program(call: Call[None, None]) -> RemovedProgram:
    """Delete a program: its links lead nowhere within seconds; its conversions and rewards stay."""
    define.remove(call.tenant, call.path["program_id"], call.now)
    return RemovedProgram(id=call.path["program_id"])


@router.get(
    "/v1/referrals/programs/{program_id}/links", scope="referrals:read", query=PageQuery, answer=Page[LinkAnswer]
)
def list_program_links(call: Call[PageQuery, None]) -> Page[LinkAnswer]:
    """List a program's links, newest first."""
    rows, following = read.links(call.tenant, call.path["program_id"], call.query.limit, call.query.cursor)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/referrals/links",
    scope="referrals:write",
    body=NewLink,
    answer=LinkAnswer,
    status=201,
    also=(200,),
    idempotent=True,
)
def create_link(call: Call[None, NewLink]) -> Reply:
    """Give a contact its link of a program and channel (201), or get the one that it has (200)."""
    body = call.body
    made, is_new = link.make(call.tenant, body.program_id, body.contact_id, body.channel, call.now, call.receipt)
    return Reply(read.show_links(call.tenant, [made])[0], status=201 if is_new else 200)


@router.get("/v1/referrals/links/{code}", scope="referrals:read", answer=LinkAnswer)
def get_link(call: Call[None, None]) -> LinkAnswer:
    """Get a link by its code."""
    return read.show_links(call.tenant, [read.link(call.tenant, call.path["code"])])[0]


@router.get(
    "/v1/referrals/links/{code}/conversions", scope="referrals:read", query=PageQuery, answer=Page[ConversionAnswer]
)
def list_link_conversions(call: Call[PageQuery, None]) -> Page[ConversionAnswer]:
    """List the conversions of a link, newest first."""
    rows, following = read.conversions_of_link(call.tenant, call.path["code"], call.query.limit, call.query.cursor)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/referrals/conversions",
    scope="referrals:write",
    body=NewConversion,
    answer=ConversionAnswer,
    status=201,
    also=(200,),
    idempotent=True,
)
def create_conversion(call: Call[None, NewConversion]) -> Reply:
    """Record a conversion (201). The same pair again is the first one (200)."""
    made, is_new = record.run(call.tenant, call.body, call.now, call.receipt)
    return Reply(read.show_conversions(call.tenant, [made])[0], status=201 if is_new else 200)


@router.get("/v1/referrals/conversions", scope="referrals:read", query=ConversionsQuery, answer=Page[ConversionAnswer])
def list_conversions(call: Call[ConversionsQuery, None]) -> Page[ConversionAnswer]:
    """List conversions, newest first: with `status=review` those that wait for a decision."""
    rows, following = read.conversions(call.tenant, call.query)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/referrals/conversions/{conversion_id}/approve",
    scope="referrals:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=ConversionAnswer,
    idempotent=True,
)
def approve_conversion(call: Call[None, EmptyBody]) -> ConversionAnswer:
    """Let a conversion that is held count, with its rewards."""
    return decide.approve(call.tenant, call.path["conversion_id"], call.now, call.receipt)


@router.post(
    "/v1/referrals/conversions/{conversion_id}/reject",
    scope="referrals:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=ConversionAnswer,
    idempotent=True,
)
def reject_conversion(call: Call[None, EmptyBody]) -> ConversionAnswer:
    """Let a conversion that is held not count."""
    return decide.reject(call.tenant, call.path["conversion_id"], call.now, call.receipt)


@router.post(
    "/v1/referrals/conversions/{conversion_id}/reverse",
    scope="referrals:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=ConversionAnswer,
    idempotent=True,
)
def reverse_conversion(call: Call[None, EmptyBody]) -> ConversionAnswer:
    """Take an approved conversion back, with its rewards and the tiers that it reached."""
    return decide.reverse(call.tenant, call.path["conversion_id"], call.now, call.receipt)


@router.get("/v1/referrals/rewards", scope="referrals:read", query=RewardsQuery, answer=Page[RewardAnswer])
def list_rewards(call: Call[RewardsQuery, None]) -> Page[RewardAnswer]:
    """List the ledger of rewards, newest first."""
    rows, following = read.rewards(call.tenant, call.query)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/referrals/rewards/{reward_id}/issue",
    scope="referrals:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=RewardAnswer,
    idempotent=True,
)
def issue_reward(call: Call[None, EmptyBody]) -> RewardAnswer:
    """Mark an approved reward as given, where the program leaves that to hand."""
    return decide.issue(call.tenant, call.path["reward_id"], call.now, call.receipt)


@router.get("/v1/referrals/leaderboard", scope="referrals:read", query=BoardQuery, answer=BoardPage)
def get_leaderboard(call: Call[BoardQuery, None]) -> BoardPage:
    """List a program's referrers: by conversions, then referrals, then who came first."""
    return read.board(call.tenant, call.query)
