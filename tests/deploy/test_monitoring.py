"""Prometheus's and Alertmanager's files, checked by their own tools and on a live server in a call."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import yaml

from foundation.logging_setup import JsonFormatter, Redactor
from parley_client import Api
from sfu.api.signaling import Consent
from tests.support import alertmanager
from tests.support.call import become_admin, call
from tests.support.gateway import NODE_SECRET, running_gateway
from tests.support.monitoring import Monitoring, running_monitoring
from tests.support.waiting import eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
# Of Prometheus itself, and of rules.
NOT_OURS = {
    "up",
    "ALERTS",
    "alertmanager_notifications_failed_total",
    "etcd_disk_wal_fsync_duration_seconds_bucket",
}


def said(*command: str | Path) -> str:
    """Return a checker's complaints about its files; "" when it accepts them."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr + f" ({done.returncode})"


def test_rules_are_rules() -> None:
    assert said("promtool", "check", "rules", *RULES) == ""


def test_alerts_fire_on_what_they_are_for() -> None:
    assert said("promtool", "test", "rules", DEPLOY / "prometheus" / "rules_test.yml") == ""


def test_the_configuration_is_one(tmp_path: Path) -> None:
    assert said("promtool", "check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml") == ""
    (tmp_path / "alertmanager.yml").write_text(alertmanager.configuration())
    assert said("amtool", "check-config", tmp_path / "alertmanager.yml") == ""


def test_an_alertmanager_that_reads_no_file_is_given_the_address(tmp_path: Path) -> None:
    (tmp_path / "webhook").write_text("http://127.0.0.1:1234/")
    new = alertmanager.configuration(webhook=tmp_path / "webhook", release=(0, 26))
    assert new.count(f"url_file: {tmp_path}/webhook") == 2
    old = alertmanager.configuration(webhook=tmp_path / "webhook", release=(0, 25))
    assert "url_file:" not in old and old.count("url: http://127.0.0.1:1234/") == 2


def test_the_checkers_can_fail(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    alerts = tmp_path / "prometheus" / "rules" / "alerts.yml"
    alerts.write_text(alerts.read_text().replace("> 0.0144", "> 0.144"))
    assert "RequestsFail" in said("promtool", "test", "rules", tmp_path / "prometheus" / "rules_test.yml")
    alerts.write_text(alerts.read_text().replace("rate(", "rates("))
    assert "rates" in said("promtool", "check", "rules", alerts)
    broken = tmp_path / "alertmanager.yml"
    broken.write_text(alertmanager.configuration().replace("receiver: page", "receiver: x"))
    assert "x" in said("amtool", "check-config", broken)
    configuration = tmp_path / "prometheus" / "prometheus.yml"
    configuration.write_text(configuration.read_text().replace("scrape_configs", "scrape_configurations"))
    assert "scrape_configurations" in said("promtool", "check", "config", "--syntax-only", configuration)


def test_every_alert_says_what_to_do_and_wakes_somebody_or_not() -> None:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    assert rule["labels"]["severity"] in {"page", "ticket", "watchdog"}, rule["alert"]
                    assert rule["annotations"]["action"] and rule["annotations"]["summary"], rule["alert"]


def test_the_dashboards_are_what_their_source_writes(tmp_path: Path) -> None:
    (tmp_path / "dashboards").mkdir()
    script = tmp_path / "build.py"
    script.write_text((DEPLOY / "grafana" / "build.py").read_text())
    subprocess.run([sys.executable, str(script)], check=True)
    written = {path.name: path.read_text() for path in (tmp_path / "dashboards").iterdir()}
    assert written == {path.name: path.read_text() for path in DASHBOARDS}


def test_dashboards_name_data_sources_that_are_provisioned() -> None:
    provisioned = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "parley.yaml").read_text())
    known = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            assert (panel["datasource"]["type"], panel["datasource"]["uid"]) in known, panel["title"]


def dashboard_queries() -> list[tuple[str, str]]:
    """(where, PromQL) of every panel that asks Prometheus."""
    return [
        (f"{path.stem}: {panel['title']}", target["expr"].replace("$instance", ".*"))
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        if panel["datasource"]["type"] == "prometheus"
        for target in panel["targets"]
    ]


def rule_queries() -> list[tuple[str, str]]:
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    return [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules]


def metric_names(query: str) -> set[str]:
    """Return the metrics in a query: names before a selector, a range or an operator that are not functions."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)', " ", query)
    words = set(re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare))
    return {word for word in words if not re.fullmatch(r"and|or|unless|inf|nan", word, re.I)}


def test_names_are_found_in_queries() -> None:
    query = 'histogram_quantile(0.9, sum by (a, le) (rate(x_bucket{job=~"y"}[5m]))) > 1 and on (b) job:z:p9'
    assert metric_names(query) == {"x_bucket", "job:z:p9"}


def log_queries() -> list[str]:
    """LogQL of every panel that asks Loki."""
    panels = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    return [t["expr"] for panel in panels if panel["datasource"]["type"] == "loki" for t in panel["targets"]]


def shipped_labels(name: str, pattern: str) -> set[str]:
    """The labels that a shipper gives to our lines."""
    (labels,) = re.findall(pattern, (DEPLOY / "loki" / name).read_text())
    return set(re.findall(r"\w+", labels))


def test_log_panels_ask_for_what_is_shipped_and_logged() -> None:
    labels = shipped_labels("config.alloy", r"stage\.labels \{\s*values = \{([^}]*)\}")
    assert labels == shipped_labels("promtail.yaml", r"- labels: \{([^}]*)\}")
    said = ("participant_" + "0" * 32, "abcd-efgh-jkmn")
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s is in %s", said, None)
    fields = set(json.loads(JsonFormatter("sfu", Redactor()).format(record)))
    assert labels <= fields
    assert log_queries()
    for query in log_queries():
        selector, _, rest = query.partition("}")
        assert set(re.findall(r"(\w+)[=!]", selector)) <= labels, query
        assert set(re.findall(r"\| (\w+)=", rest)) <= fields, query


@asynccontextmanager
async def alert_receiver() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that records Alertmanager's messages."""
    received: list[dict[str, Any]] = []

    async def take(request: aiohttp.web.Request) -> aiohttp.web.Response:
        received.extend((await request.json())["alerts"])
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_post("/", take)
    runner = aiohttp.web.AppRunner(app, access_log=None)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", received
    finally:
        await runner.cleanup()


class Prometheus:
    """Questions to a running Prometheus."""

    def __init__(self, http: aiohttp.ClientSession, where: Monitoring) -> None:
        self._http, self._where = http, where

    async def query(self, query: str) -> tuple[str, list[Any]]:
        """("", result), or what Prometheus has against the query."""
        async with self._http.get(f"{self._where.prometheus}/api/v1/query", params={"query": query}) as answer:
            body = await answer.json()
        return ("", body["data"]["result"]) if body["status"] == "success" else (body["error"], [])

    async def get(self, path: str) -> Any:
        async with self._http.get(f"{self._where.prometheus}{path}") as answer:
            return (await answer.json())["data"]


async def test_everything_against_a_live_server() -> None:
    """Targets answer, queries are answered, names are exported, an alert fires and is over again."""
    with running_gateway(ingress="true", phone="true") as gateway:
        names = ("control", "recorder", "inference", "ingress", "phone")
        jobs = {"sfu": "sfu_http"} | {name: name for name in names}
        targets = {job: gateway.ports[port] for job, port in jobs.items()}
        async with alert_receiver() as (webhook, received), aiohttp.ClientSession() as http:
            with running_monitoring(targets, NODE_SECRET, webhook) as where:
                prometheus = Prometheus(http, where)
                async with Api(gateway.url, verify_tls=False) as api:
                    await become_admin(api, gateway.server.setup_token)
                    meeting = await api.create_meeting("Watched")
                    async with call(api, meeting, verify_tls=False) as (speaker, _):
                        await speaker.send(Consent(text="1", recording=True))
                        await api.start_recording(meeting)
                        await _targets_answer(prometheus)
                        await _names_are_exported(http, targets)
                        await _queries_are_answered(prometheus)
                await _an_alert_fires_and_resolves(gateway.server.part_pid("recorder"), received)


async def _targets_answer(prometheus: Prometheus) -> None:
    async def all_up() -> bool:
        active = (await prometheus.get("/api/v1/targets"))["activeTargets"]
        return len(active) == 8 and all(target["health"] == "up" for target in active)

    await eventually(all_up, why="not all targets are up")

    async def media_flows() -> bool:
        _, result = await prometheus.query("rate(parley_sfu_forwarded_total[10s]) > 1")
        return bool(result)

    await eventually(media_flows, why="no media is seen by Prometheus")


async def _names_are_exported(http: aiohttp.ClientSession, targets: dict[str, int]) -> None:
    exported = set(NOT_OURS)
    for port in targets.values():
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", await answer.text(), re.M):
                exported.add(name)
                if kind == "histogram":
                    exported |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    exported |= {rule["record"] for path in RULES for rule in _recorded(path)}
    for where, query in dashboard_queries() + rule_queries():
        missing = metric_names(query) - exported
        assert not missing, f"{where} asks for {missing}, which nothing exports"


def _recorded(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "record" in rule]


async def _queries_are_answered(prometheus: Prometheus) -> None:
    error, _ = await prometheus.query("rates(up[5m])")
    assert error, "a wrong query must be an error"
    for where, query in dashboard_queries():
        error, _ = await prometheus.query(query)
        assert not error, f"{where}: {error}"

    async def shows_something(query: str) -> bool:
        _, result = await prometheus.query(query)
        return bool(result)

    for shown in ("overview: Parts that answer", "overview: Requests", "node: Datagrams", "recordings: Recordings"):
        query = next(query for where, query in dashboard_queries() if where == shown)
        await eventually(lambda query=query: shows_something(query), why=f"{shown} shows nothing")


async def _an_alert_fires_and_resolves(recorder: int, received: list[dict[str, Any]]) -> None:
    """A recorder that hangs is seen as down; once it runs again the alert is over."""

    def sent(status: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return any(alert["status"] == status and alert["labels"]["alertname"] == "PartDown" for alert in received)

        return look

    os.kill(recorder, signal.SIGSTOP)
    try:
        await eventually(sent("firing"), why="no alert fired")
    finally:
        os.kill(recorder, signal.SIGCONT)
    await eventually(sent("resolved"), why="the alert did not resolve")
