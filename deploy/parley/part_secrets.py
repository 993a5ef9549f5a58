"""Secrets by part: the environment of each process contains only the secrets that it uses.

An attacker who takes over a part that faces the internet, or reads its environment, has only the rights of that part.
"""

from collections.abc import Mapping

from foundation.setting_groups import SETTINGS

_ALL = frozenset(setting.name for setting in SETTINGS if setting.secret)
_OF_BACKUPS = frozenset({"backup_key", "backup_s3_access_key", "backup_s3_secret_key"})  # no part runs them
_OF_PHONE = frozenset({"sip_login_password", "sip_trunk_password"})
_OF_EVERY_PART = frozenset({"node_secret", "etcd_password"})  # control, and settings that change live
SECRETS_OF: Mapping[str, frozenset[str]] = {
    "control": _ALL - _OF_BACKUPS - _OF_PHONE,
    "sfu": _OF_EVERY_PART,
    "recorder": _OF_EVERY_PART | {"s3_access_key", "s3_secret_key", "recordings_keys"},
    "film-worker": _OF_EVERY_PART | {"s3_access_key", "s3_secret_key", "recordings_keys"},
    "inference": _OF_EVERY_PART,
    "ingress": _OF_EVERY_PART,
    "phone": _OF_EVERY_PART | _OF_PHONE,
}
"""By the verb that starts the part."""


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without secret settings; those that a process may know are added by name."""
    variables = {setting.variable for setting in SETTINGS if setting.secret}
    return {name: value for name, value in environment.items() if name.removesuffix("_FILE") not in variables}
