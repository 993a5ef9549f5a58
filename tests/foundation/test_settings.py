"""Settings: precedence, types, secrets."""

import contextlib
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.setting_forms import FORMS, Form
from foundation.setting_groups import GROUPS, SETTINGS
from foundation.settings import SettingsError, resolve, with_secrets

HOME = {"HOME": "/home/someone"}


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    toml = tmp_path / "parley.toml"
    toml.write_text('http_port = 1\nsfu_node = "from-file"\n')
    environment = HOME | {"PARLEY_HTTP_PORT": "2", "PARLEY_SFU_NODE": "from-environment"}
    assert resolve({"http_port": "3"}, environment, toml)["http_port"] == 3
    assert resolve({}, environment, toml)["http_port"] == 2
    assert resolve({}, HOME, toml)["sfu_node"] == "from-file"
    assert resolve({}, HOME)["http_port"] == 8800
    assert resolve({}, environment, toml).source("http_port") == "environment PARLEY_HTTP_PORT"
    assert resolve({}, HOME, toml).source("sfu_node") == str(toml)


def test_a_value_may_come_from_a_file_named_in_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    assert resolve({}, HOME | {"PARLEY_NODE_SECRET_FILE": str(secret)})["node_secret"] == "s3cret"
    with pytest.raises(SettingsError, match="PARLEY_NODE_SECRET_FILE"):
        resolve({}, HOME | {"PARLEY_NODE_SECRET_FILE": str(tmp_path / "missing")})


@pytest.mark.parametrize(
    ("environment", "named"),
    [({"PARLEY_HTTP_PORT": "eighty"}, "http_port"), ({"PARLEY_INFERENCE": "perhaps"}, "inference")],
)
def test_what_does_not_parse_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        resolve({}, HOME | environment)


def test_unknown_settings_of_a_file_are_named(tmp_path: Path) -> None:
    toml = tmp_path / "parley.toml"
    toml.write_text("htp_port = 1\n")
    with pytest.raises(SettingsError, match="htp_port"):
        resolve({}, HOME, toml)


def test_a_child_resolves_the_same_settings_from_its_environment() -> None:
    settings = resolve(
        {"public_hosts": ["a.example", "b.example"], "http_port": "0"}, HOME | {"PARLEY_NODE_SECRET": "s"}
    )
    child = resolve({}, settings.environment({"node_secret"}))
    assert [child[s.name] for s in SETTINGS] == [settings[s.name] for s in SETTINGS]


def test_secrets_are_generated_once_and_private_while_every_store_is_embedded(tmp_path: Path) -> None:
    settings = resolve({"data_dir": str(tmp_path)}, HOME)
    first = with_secrets(settings)["node_secret"]
    assert len(first) >= 32
    assert with_secrets(settings)["node_secret"] == first
    assert stat.S_IMODE((tmp_path / "secrets" / "node_secret").stat().st_mode) == 0o600


def test_with_an_external_store_a_missing_secret_stops_the_start(tmp_path: Path) -> None:
    environment = HOME | {"PARLEY_DATABASE_URL": "postgresql://db/parley"}
    with pytest.raises(SettingsError, match="node_secret"):
        with_secrets(resolve({"data_dir": str(tmp_path)}, environment))


def test_secrets_are_masked_when_shown() -> None:
    shown = resolve({}, HOME | {"PARLEY_NODE_SECRET": "visible?", "PARLEY_DATABASE_URL": "postgresql://u:p@h/d"}).rows()
    assert not any("visible" in value or "u:p" in value for _, value, _ in shown)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("kafka_brokers", "127.0.0.1:abc"),
        ("kafka_brokers", "127.0.0.1:99999"),
        ("kafka_brokers", "a:9092,b"),
        ("kafka_brokers", "a:0"),
        ("kafka_brokers", "::1:9092"),
        ("triton_urls", "http://triton:8001"),
        ("mongodb_url", "mongo://x"),
        ("mongodb_url", "mongodb://ada:p@ss@host/parley"),
        ("mongodb_url", "mongodb://ada:p:ss@host/parley"),
        ("mongodb_url", "mongodb://a:27017,b:x/parley"),
        ("etcd_urls", "etcd:2379"),
        ("etcd_urls", "http://etcd:x"),
        ("database_url", "mysql://x/parley"),
        ("database_url", "postgresql://ada:pa/ss@host/parley"),
        ("redis_url", "redis://host:port"),
        ("redis_url", "localhost:6379"),
        ("s3_endpoint", "minio:9000"),
        ("origins", "https://meet.example.org/path"),
        ("summary_url", "ftp://models"),
        ("otlp_url", "jaeger:4318"),
        ("trusted_proxies", "gateway"),
        ("http_port", "65536"),
        ("sfu_udp_port", "-2"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_repeated(name: str, wrong: str) -> None:
    """A value may hold a password."""
    with pytest.raises(SettingsError, match=name) as caught:
        resolve({}, HOME | {f"PARLEY_{name.upper()}": wrong})
    assert wrong not in str(caught.value) and "ss@" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("kafka_brokers", "kafka:9092, [::1]:9092,10.0.0.1:9093"),
        ("mongodb_url", "mongodb://ada:p%40ss@a:27017,b/parley?replicaSet=r&tls=true"),
        ("mongodb_url", "mongodb+srv://cluster.example.org/parley"),
        ("etcd_urls", "https://a:2379,http://[::1]:2379"),
        ("database_url", "postgresql://postgres@/parley?host=/run/pg"),
        ("database_url", "postgres://ada:x@a:5432,b:5433/parley?sslmode=require"),
        ("redis_url", "unix:///run/redis.sock"),
        ("redis_url", "rediss://:secret@host:6380/0"),
        ("redis_url", ""),
        ("s3_endpoint", "https://s3.eu-west-1.amazonaws.com"),
        ("origins", "https://meet.example.org,http://localhost:8800/"),
        ("oidc_issuer", "https://id.example.org/realms/x"),
        ("https_port", "-1"),
    ],
)
def test_what_can_be_used_is_taken(name: str, right: str) -> None:
    resolve({}, HOME | {f"PARLEY_{name.upper()}": right})


@given(st.text(), st.sampled_from(list(dict.fromkeys(FORMS.values()))))
def test_a_form_takes_a_text_or_says_what_is_wrong(text: str, form: Form) -> None:
    with contextlib.suppress(ValueError):
        form(text)


def test_every_form_is_of_a_setting() -> None:
    assert set(FORMS) <= {setting.name for setting in SETTINGS}


def test_old_names_are_read_and_told(tmp_path: Path) -> None:
    toml = tmp_path / "parley.toml"
    toml.write_text("spill_at = 300\n")
    public = tmp_path / "public"
    public.write_text("meet.example.org\n")
    environment = HOME | {"PARLEY_NODE": "sfu-7", "PARLEY_PUBLIC_FILE": str(public), "PARLEY_NODES_FILE": "/nodes.toml"}
    settings = resolve({"estimation": "off"}, environment, toml)
    assert settings["max_participants_per_node"] == 300
    assert (settings["sfu_node"], settings["public_hosts"]) == ("sfu-7", ("meet.example.org",))
    assert (settings["sfu_nodes"], settings["sfu_nodes_file"]) == ((), Path("/nodes.toml"))
    assert settings["congestion_control"] is False
    assert settings.renamed() == {
        "public": "public_hosts",
        "estimation": "congestion_control",
        "node": "sfu_node",
        "nodes_file": "sfu_nodes_file",
        "spill_at": "max_participants_per_node",
    }
    child = resolve({}, environment | settings.environment(()))
    assert child["sfu_node"] == "sfu-7"
    assert not child.renamed()


def test_a_new_name_beats_the_old_one_at_the_same_place() -> None:
    settings = resolve({}, HOME | {"PARLEY_NODE": "old", "PARLEY_SFU_NODE": "new"})
    assert (settings["sfu_node"], settings.renamed()) == ("new", {})
    assert resolve({"node": "flag"}, HOME | {"PARLEY_SFU_NODE": "new"})["sfu_node"] == "flag"


def test_each_setting_is_in_one_group_and_is_told_in_one_plain_phrase() -> None:
    names = [setting.name for group in GROUPS for setting in group.settings]
    assert len(names) == len(set(names)) == len(SETTINGS)
    for setting in SETTINGS:
        assert not setting.meaning.endswith(".")
        assert not setting.meaning.startswith(("what ", "whether ", "who ", "where ", "how ", "its "))
