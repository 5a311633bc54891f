"""Settings of the project, and its API keys."""

from chalicelib.core.errors import Conflict
from chalicelib.core.schema import PageQuery
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.apikeys import service as apikeys
from chalicelib.features.apikeys.schemas import CreatedKey, KeyPage, NewKey, RevokedKey, RevokeQuery, revoked
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.schemas import SettingsPatch, SettingsView, view

router = Router("Settings")


@router.get("/v1/settings", scope="settings:read", answer=SettingsView)
def get_settings(call: Call[None, None]) -> SettingsView:
    """Get project settings."""
    return view(projects.get(call.tenant))


@router.patch("/v1/settings", scope="settings:write", body=SettingsPatch, answer=SettingsView)
def update_settings(call: Call[None, SettingsPatch]) -> SettingsView:
    """Update settings. An allow-list without your own address locks you out within 5 seconds."""
    return view(projects.update(call.tenant, call.body))


@router.get("/v1/settings/keys", scope="settings:read", query=PageQuery, answer=KeyPage)
def list_keys(call: Call[PageQuery, None]) -> KeyPage:
    """List API keys, newest first. Of each key only the last four characters are shown."""
    return apikeys.listing(call.tenant, call.query.limit, call.query.cursor)


@router.post("/v1/settings/keys", scope="settings:write", body=NewKey, answer=CreatedKey, status=201, idempotent=True)
def create_key(call: Call[None, NewKey]) -> CreatedKey:
    """Create an API key. The answer shows the key this once.

    A key makes none with scopes that it lacks; for a write key, which may call ingest, it needs `contacts:write`. A
    revoked key in its grace period makes none (409).
    """
    caller = call.principal
    if caller.is_revoked:
        raise Conflict("This key was revoked: it makes no other keys. Use one that was not.")
    return apikeys.create(
        call.tenant, call.body, granted=caller.scopes, mode=caller.mode, now=call.now, receipt=call.receipt
    )


@router.delete("/v1/settings/keys/{key_id}", scope="settings:write", query=RevokeQuery, answer=RevokedKey)
def revoke_key(call: Call[RevokeQuery, None]) -> RevokedKey:
    """Revoke an API key. It works for 24 more hours, or ends within 5 seconds with `immediate=true`."""
    return revoked(apikeys.revoke(call.tenant, call.path["key_id"], immediate=call.query.immediate, now=call.now))
