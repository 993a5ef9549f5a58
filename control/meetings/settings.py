"""Settings of a meeting, and changes to them."""

from typing import Annotated, Literal

import msgspec

from control.config import ControlConfig
from sfu.api.desired_state import ConsentPolicy, RecordingNotice

VideoCodec = Literal["VP8", "VP9", "H264", "AV1"]
MAX_CAPACITY = 10_000
Capacity = Annotated[int, msgspec.Meta(ge=2, le=MAX_CAPACITY)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]


class MeetingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`may_*` are rights of participants who are not hosts; hosts have all of them.

    With `may_unmute`, participants may turn on again what a host muted; without it, all microphones but those of hosts
    are muted until a host releases them. `may_rename` lets participants change their own names.

    `consent` is the policy on being recorded: everyone is asked (`ask`), joining gives consent until it is withdrawn
    (`implied`), or nobody can attend without consent (`required`). With a `recording_notice`, everyone hears a tone and
    a sentence in that language when recording begins, or when they join later. `codec` is the video codec that browsers
    send; they add VP8 if somebody cannot decode it. `mute_on_entry` asks clients of all but hosts to start muted.
    `broadcast` starts a broadcast automatically when the meeting begins, if it has outputs. In a `webinar`, newcomers
    join as viewers; a host makes them participants to let them speak. Recordings are deleted `keep_recordings_days`
    after their start, or when the server deletes them if that is null.
    """

    guests: bool = True
    locked: bool = False
    lobby: bool = False
    mute_on_entry: bool = False
    webinar: bool = False
    may_share: bool = True
    may_chat: bool = True
    may_record: bool = False
    may_unmute: bool = True
    may_rename: bool = True
    consent: ConsentPolicy = "ask"
    recording_notice: RecordingNotice = "none"
    captions: bool = True
    e2ee: bool = False
    broadcast: bool = False
    codec: VideoCodec = "VP8"
    capacity: Capacity = 500
    keep_recordings_days: Days | None = None


def defaults(config: ControlConfig) -> MeetingSettings:
    """Return the settings of new meetings whose host does not choose others."""
    return MeetingSettings(
        lobby=config.default_lobby,
        captions=config.default_captions,
        consent=config.default_consent,
        recording_notice=config.default_recording_notice,
    )


class ChangedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merge patch of the settings (RFC 7396): an absent field stays, null resets it to its default."""

    guests: bool | msgspec.UnsetType | None = msgspec.UNSET
    locked: bool | msgspec.UnsetType | None = msgspec.UNSET
    lobby: bool | msgspec.UnsetType | None = msgspec.UNSET
    mute_on_entry: bool | msgspec.UnsetType | None = msgspec.UNSET
    webinar: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_share: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_chat: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_record: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_unmute: bool | msgspec.UnsetType | None = msgspec.UNSET
    may_rename: bool | msgspec.UnsetType | None = msgspec.UNSET
    consent: ConsentPolicy | msgspec.UnsetType | None = msgspec.UNSET
    recording_notice: RecordingNotice | msgspec.UnsetType | None = msgspec.UNSET
    captions: bool | msgspec.UnsetType | None = msgspec.UNSET
    e2ee: bool | msgspec.UnsetType | None = msgspec.UNSET
    broadcast: bool | msgspec.UnsetType | None = msgspec.UNSET
    codec: VideoCodec | msgspec.UnsetType | None = msgspec.UNSET
    capacity: Capacity | msgspec.UnsetType | None = msgspec.UNSET
    keep_recordings_days: Days | msgspec.UnsetType | None = msgspec.UNSET

    def onto(self, settings: MeetingSettings, default: MeetingSettings) -> MeetingSettings:
        """Return the settings with this patch applied; `default` is what null resets a field to."""
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not msgspec.UNSET}
        changes = {name: getattr(default, name) if value is None else value for name, value in given.items()}
        return msgspec.structs.replace(settings, **changes)
