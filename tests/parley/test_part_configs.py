"""Configurations of the parts, from the settings of a system spread over several machines."""

from pathlib import Path

import pytest

from foundation.hot_settings import etcd_config
from foundation.settings import Settings, SettingsError, resolve
from parley import part_configs
from parley.part_configs import check, control_config, recorder_config, sfu_config

ENVIRONMENT = {"HOME": "/nowhere", "PARLEY_NODE_SECRET": "secret", "PARLEY_HTTPS_PORT": "-1"}


def settings(**values: str) -> Settings:
    return resolve({}, ENVIRONMENT | {f"PARLEY_{name.upper()}": value for name, value in values.items()})


def test_alone_control_knows_the_node_of_this_machine() -> None:
    (node,) = control_config(settings(sfu_node="one", sfu_http_port="9")).nodes
    assert (node.node, node.signaling_url, node.http_url) == (
        "one",
        "ws://127.0.0.1:8081/ws/signaling",
        "http://127.0.0.1:9",
    )


def test_nodes_are_named_with_their_addresses() -> None:
    one, two = control_config(settings(sfu_nodes="a=sfu-a:8081:8084, b=[fd00::1]:1:2")).nodes
    assert (one.node, one.http_url) == ("a", "http://sfu-a:8084")
    assert (two.node, two.signaling_url) == ("b", "ws://[fd00::1]:1/ws/signaling")


@pytest.mark.parametrize("wrong", ["a", "a=host", "a=host:1", "=host:1:2", "a=:1:2", "a=host:x:2"])
def test_a_node_that_cannot_be_read_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="sfu_nodes"):
        control_config(settings(sfu_nodes=wrong))


def test_behind_a_gateway() -> None:
    config = control_config(settings(origins="https://a.example", trusted_proxies="10.0.0.1", cookies="always"))
    assert config.public_origins == ("https://a.example",)
    assert control_config(settings(origins="https://A.example:443/")).public_origins == ("https://a.example",)
    assert config.trusted_proxies == ("10.0.0.1",)
    assert config.cookie_security == "always"
    with pytest.raises(SettingsError, match="cookies"):
        control_config(settings(cookies="never"))


def test_the_parts_may_be_on_other_machines() -> None:
    assert recorder_config(settings(control_url="http://control:8082")).control_url == "http://control:8082"
    assert recorder_config(settings(internal_port="7")).control_url == "http://127.0.0.1:7"
    assert control_config(settings(internal_host="10.0.0.2")).internal_bind == "10.0.0.2:8082"
    assert sfu_config(settings(sfu_host="10.0.0.3")).http_host == "10.0.0.3"


def test_plain_transports_go_where_the_settings_say() -> None:
    config = sfu_config(settings(transport_networks="10.0.0.0/8,fd00::/8", transport_ports="40000-40100"))
    assert config.plain_networks == ("10.0.0.0/8", "fd00::/8")
    assert config.plain_ports == (40000, 40100)
    assert sfu_config(settings()).plain_ports == (0, 0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("transport_networks", "10.0.0.1/8"), ("transport_networks", "home"), ("transport_ports", "9-8"),
     ("transport_ports", "40000"), ("transport_ports", "1-70000")],
)  # fmt: skip
def test_wrong_bounds_of_plain_transports_are_named(name: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match=name):
        sfu_config(settings(**{name: wrong}))


def test_an_identity_provider_is_whole_or_not_at_all() -> None:
    assert control_config(settings()).oidc == ()
    given = {"oidc_issuer": "https://id.example", "oidc_client_id": "parley", "oidc_client_secret": "s"}
    (provider,) = control_config(settings(**given, oidc_allowed_groups="a, b", oidc_admin_group="b")).oidc
    assert (provider.name, provider.issuer, provider.allowed_groups) == ("sso", "https://id.example", ("a", "b"))
    for missing in ("oidc_client_id", "oidc_client_secret"):
        with pytest.raises(SettingsError, match=missing):
            control_config(settings(**{name: value for name, value in given.items() if name != missing}))


def test_one_endpoint_has_a_model_for_minutes_and_one_for_translations() -> None:
    url = "https://llm.example.org/v1"
    both = control_config(settings(summary_url=url, summary_model="large", translation_model="small"))
    assert both.language_model is not None and both.translation_model is not None
    assert (both.language_model.model, both.translation_model.model) == ("large", "small")
    translates = control_config(settings(summary_url=url, translation_model="small"))
    assert translates.language_model is None and translates.translation_model is not None
    for lacking in ({"summary_url": url}, {"translation_model": "small"}):
        with pytest.raises(SettingsError, match="needs"):
            control_config(settings(**lacking))


def test_second_factors_and_limits() -> None:
    config = control_config(settings(second_factor="admins", quota_bytes="5", media_dir="/m", requests_per_minute="90"))
    assert (config.second_factor, config.quota_bytes, str(config.media_dir), config.limits.account_requests) == (
        "admins",
        5,
        "/m",
        90,
    )
    with pytest.raises(SettingsError, match="second_factor"):
        control_config(settings(second_factor="sometimes"))


@pytest.mark.parametrize(
    "name", ["sfu_nodes_file", "tls_certificate", "tls_key", "sfu_webtransport_key", "face_detector_card", "etcd_ca"]
)
def test_a_file_that_is_not_there_is_named_before_anything_starts(tmp_path: Path, name: str) -> None:
    away = str(tmp_path / "away.pem")
    https = "0" if name.startswith("tls_") else "-1"
    wrong = settings(**{"https_port": https, "etcd_urls": "https://etcd:2379", name: away})
    with pytest.raises(SettingsError, match=f"{name}: .*away.pem: No such file"):
        check(wrong)


def test_an_authority_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match="etcd_ca"):
        etcd_config(settings(etcd_urls="https://etcd:2379", etcd_ca=str(file)))


@pytest.mark.parametrize("wrong", ["mongodb://host/?tls=perhaps", "mongodb://host/na%20me$"])
def test_a_mongodb_that_its_client_cannot_read_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="mongodb_url"):
        control_config(settings(mongodb_url=wrong))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kafka_brokers", "kafka:9092"),
        ("mongodb_url", "mongodb://host/parley"),
        ("triton_urls", "triton:8001"),
        ("phone", "on"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_configs, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=rf"{name} .*pip install parley-sfu\["):
        check(settings(**{name: value}))
