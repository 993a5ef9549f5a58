"""From settings to how people sign in: second factors, and an OpenID Connect provider."""

from control.config import OidcProvider, SecondFactor
from foundation.settings import Settings, SettingsError

_SECOND_FACTORS: dict[str, SecondFactor] = {"optional": "optional", "admins": "admins", "required": "required"}


def second_factor(settings: Settings) -> SecondFactor:
    """Return who must have a second factor; raises SettingsError."""
    chosen = _SECOND_FACTORS.get(settings["second_factor"])
    if chosen is None:
        raise SettingsError(f"second_factor: {settings['second_factor']!r} is not one of {', '.join(_SECOND_FACTORS)}")
    return chosen


def identity_providers(settings: Settings) -> tuple[OidcProvider, ...]:
    """Return the provider that is configured, if one is; raises SettingsError for half of one."""
    if settings["oidc_issuer"] is None:
        return ()
    for name in ("oidc_client_id", "oidc_client_secret"):
        if not settings[name]:
            raise SettingsError(f"{name} is not set: the identity provider assigns it to this server")
    return (
        OidcProvider(
            name=settings["oidc_name"],
            issuer=settings["oidc_issuer"],
            client_id=settings["oidc_client_id"],
            client_secret=settings["oidc_client_secret"],
            groups_claim=settings["oidc_groups_claim"],
            allowed_groups=settings["oidc_allowed_groups"],
            admin_group=settings["oidc_admin_group"],
        ),
    )
