"""Generates the Grafana dashboards: `python deploy/grafana/build.py`. Edit this file, not the JSON.

A panel is (title, unit, {legend: query}). What Grafana's schema requires is written out, even if it is the default.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Panel = tuple[str, str, dict[str, str]]
Stat = tuple[str, str, str, str, tuple[float, float]]
"""Title, unit, query, description, and the thresholds for yellow and red."""
DIRECTORY = Path(__file__).parent / "dashboards"
_PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
_LOKI = {"type": "loki", "uid": "loki"}
_WIDTH, _HEIGHT, _ACROSS = 8, 7, 3
_STAT_HEIGHT = 4
_LINK = {
    "type": "dashboards",
    "tags": ["parley"],
    "title": "Parley",
    "tooltip": "",
    "icon": "external link",
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
}

# The figures behind the paging alerts come first. Each is 0 while all is well, also without traffic.
FIRST: list[Stat] = [
    (
        "Joins without media",
        "percentunit",
        "max(job:sfu_joins_without_media:ratio5m) or vector(0)",
        "Share of joins that got no media for 30 s although somebody sent some.",
        (0.005, 0.072),
    ),
    (
        "First media, 95 %",
        "s",
        "max(job:sfu_first_media_seconds:p95 >= 0) or vector(0)",
        "Time from the join to the first packet in either direction.",
        (2, 5),
    ),
    (
        "Frozen video",
        "percentunit",
        'max(job:sfu_received_badly:ratio5m{kind="video"}) or vector(0)',
        "Share of the seconds in which a watched video is frozen.",
        (0.01, 0.144),
    ),
    (
        "Broken sound",
        "percentunit",
        'max(job:sfu_received_badly:ratio5m{kind="audio"}) or vector(0)',
        "Share of the seconds in which a microphone loses a tenth of its packets.",
        (0.01, 0.144),
    ),
    (
        "Recordings at risk",
        "short",
        "sum(parley_sfu_recordings_stalled) or vector(0)",
        "Running recordings that are not being stored.",
        (1, 1),
    ),
    (
        "Parts that do not answer",
        "short",
        '(count(up{job=~"control|sfu|recorder|inference"} == 0) or vector(0)) + '
        '(max(parley_control_nodes{state="lost"}) or vector(0))',
        "Parts that Prometheus cannot reach, and nodes that control has lost.",
        (1, 1),
    ),
]

OVERVIEW: list[Panel] = [
    ("Parts that answer", "short", {"{{job}} {{instance}}": "up"}),
    (
        "Rooms and participants",
        "short",
        {"rooms": "sum(parley_sfu_rooms)", "participants": "sum(parley_sfu_participants)"},
    ),
    ("Alerts", "short", {"{{alertname}}": 'ALERTS{alertstate="firing", alertname!="Watchdog"} or vector(0)'}),
    ("Requests", "reqps", {"{{status}}": "sum by (status) (rate(parley_control_http_requests_total[5m]))"}),
    ("Failed requests", "percentunit", {"failed": "job:control_http_errors:ratio5m"}),
    (
        "Response time, 95 %, slowest routes",
        "s",
        {
            "{{route}}": "topk(8, histogram_quantile(0.95, "
            "sum by (route, le) (rate(parley_control_http_request_seconds_bucket[5m]))))"
        },
    ),
    (
        "Media",
        "bps",
        {
            "in": "sum(rate(parley_sfu_bytes_in_total[5m])) * 8",
            "out": "sum(rate(parley_sfu_bytes_out_total[5m])) * 8",
        },
    ),
    ("Recordings", "short", {"{{state}}": "sum by (state) (parley_recorder_recordings)"}),
    ("Loop lag, 99 %", "s", {"{{job}} {{instance}}": "instance:parley_event_loop_lag_seconds:p99"}),
    ("CPU", "short", {"{{job}} {{instance}}": "rate(process_cpu_seconds_total[5m])"}),
    ("Memory", "bytes", {"{{job}} {{instance}}": "process_resident_memory_bytes"}),
    (
        "Waiting events and facts",
        "short",
        {
            "outbox, {{bus}}": "max by (bus) (parley_control_outbox_backlog)",
            "facts of {{instance}}": "parley_sfu_facts_waiting",
        },
    ),
    (
        "Desired states sent",
        "ops",
        {"{{outcome}}": "sum by (outcome) (rate(parley_control_desired_state_pushes_total[5m]))"},
    ),
    ("Facts received", "ops", {"{{kind}}": "sum by (kind) (rate(parley_control_facts_total[5m]))"}),
    (
        "Signaling",
        "short",
        {
            "sockets": "sum(parley_sfu_sessions)",
            "refused: {{reason}}": "sum by (reason) (rate(parley_sfu_signaling_refused_total[5m]))",
            "through control": "sum(parley_control_signaling_proxied)",
        },
    ),
]

NODE: list[Panel] = [
    (
        "Population",
        "short",
        {
            "rooms {{instance}}": 'parley_sfu_rooms{instance=~"$instance"}',
            "participants {{instance}}": 'parley_sfu_participants{instance=~"$instance"}',
            "tracks {{instance}}": 'parley_sfu_tracks{instance=~"$instance"}',
            "peers {{instance}}": 'parley_sfu_peers{instance=~"$instance"}',
        },
    ),
    (
        "Datagrams",
        "pps",
        {
            "in {{instance}}": 'rate(parley_sfu_datagrams_in_total{instance=~"$instance"}[5m])',
            "out {{instance}}": 'rate(parley_sfu_datagrams_out_total{instance=~"$instance"}[5m])',
            "forwarded {{instance}}": 'rate(parley_sfu_forwarded_total{instance=~"$instance"}[5m])',
        },
    ),
    (
        "Bytes",
        "bps",
        {
            "in {{instance}}": 'rate(parley_sfu_bytes_in_total{instance=~"$instance"}[5m]) * 8',
            "out {{instance}}": 'rate(parley_sfu_bytes_out_total{instance=~"$instance"}[5m]) * 8',
        },
    ),
    ("Drops", "pps", {"{{reason}} {{instance}}": 'rate(parley_sfu_drops_total{instance=~"$instance"}[5m]) > 0'}),
    (
        "CPU time per datagram",
        "s",
        {"{{instance}}": 'instance:parley_sfu_cpu_seconds_per_datagram:rate5m{instance=~"$instance"}'},
    ),
    (
        "Loop lag, 99 %",
        "s",
        {"{{instance}}": 'instance:parley_event_loop_lag_seconds:p99{job="sfu", instance=~"$instance"}'},
    ),
    ("Round trips", "s", {"{{share}} {{instance}}": 'parley_sfu_round_trip_seconds{instance=~"$instance"}'}),
    ("Loss", "percentunit", {"{{direction}} {{share}} {{instance}}": 'parley_sfu_loss_ratio{instance=~"$instance"}'}),
    (
        "Link estimates",
        "bps",
        {"{{share}} {{instance}}": '8 * parley_sfu_estimate_bytes_per_second{instance=~"$instance"}'},
    ),
    ("Slots", "short", {"{{kind}} {{state}} {{instance}}": 'parley_sfu_slots{instance=~"$instance"}'}),
    ("Jitter", "s", {"{{share}} {{instance}}": 'parley_sfu_jitter_seconds{instance=~"$instance"}'}),
    (
        "Repairs",
        "pps",
        {
            "NACK from subscribers {{instance}}": 'rate(parley_sfu_nacks_received_total{instance=~"$instance"}[5m])',
            "NACK to publishers {{instance}}": 'rate(parley_sfu_nacks_sent_total{instance=~"$instance"}[5m])',
            "retransmitted {{instance}}": 'rate(parley_sfu_retransmitted_total{instance=~"$instance"}[5m])',
        },
    ),
    (
        "Keyframes asked",
        "ops",
        {
            "by subscribers {{instance}}": 'rate(parley_sfu_plis_received_total{instance=~"$instance"}[5m])',
            "of publishers {{instance}}": 'rate(parley_sfu_plis_sent_total{instance=~"$instance"}[5m])',
        },
    ),
    ("Sink queues", "bytes", {"{{sink}} {{instance}}": 'parley_sfu_sink_queue_bytes{instance=~"$instance"}'}),
    (
        "Joins",
        "ops",
        {"{{outcome}} {{instance}}": 'rate(parley_sfu_joins_total{instance=~"$instance"}[5m])'},
    ),
]

STORES: list[Panel] = [
    ("Unavailable to control", "short", {"{{dependency}}": "max by (dependency) (parley_control_dependency_down)"}),
    ("Since control last read PostgreSQL", "s", {"{{instance}}": "parley_control_database_gauges_age_seconds"}),
    ("Redis refuses", "ops", {"{{instance}}": "rate(parley_control_redis_failures_total[5m])"}),
    ("Age of the oldest waiting event", "s", {"{{bus}}": "max by (bus) (parley_control_outbox_oldest_seconds)"}),
    ("Events published", "ops", {"{{bus}}": "sum by (bus) (rate(parley_control_events_published_total[5m]))"}),
    ("Events refused", "ops", {"{{bus}}": "sum by (bus) (rate(parley_control_events_publish_failures_total[5m]))"}),
    ("Uploads of recordings", "ops", {"{{outcome}}": "sum by (outcome) (rate(parley_recorder_uploads_total[5m]))"}),
    ("Nodes in the registry", "short", {"{{state}}": "max by (state) (parley_control_nodes)"}),
    ("Mails", "ops", {"{{outcome}}": "sum by (outcome) (rate(parley_control_mails_total[5m]))"}),
    ("Webhooks", "ops", {"{{outcome}}": "sum by (outcome) (rate(parley_control_webhook_deliveries_total[5m]))"}),
    ("Stores that answer", "short", {"{{job}} {{instance}}": 'up{job=~"etcd|loki|alloy"}'}),
    (
        "etcd: sync to disk, 99 %",
        "s",
        {
            "{{instance}}": "histogram_quantile(0.99, "
            "sum by (instance, le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m])))"
        },
    ),
    ("Trace spans", "ops", {"{{outcome}}": "sum by (outcome) (rate(parley_spans_total[5m]))"}),
]

RECORDINGS: list[Panel] = [
    ("Recordings", "short", {"{{state}}": "sum by (state) (parley_recorder_recordings)"}),
    ("Attached to its sfu", "short", {"{{instance}}": "parley_recorder_attached"}),
    ("Streams captured", "short", {"{{instance}}": "parley_recorder_streams"}),
    ("Behind", "s", {"{{instance}}": "parley_recorder_lag_seconds"}),
    ("Written", "Bps", {"{{instance}}": "rate(parley_recorder_bytes_total[5m])"}),
    ("Frames", "ops", {"{{media}}": "sum by (media) (rate(parley_recorder_frames_total[5m]))"}),
    ("Frames not written", "ops", {"{{reason}}": "sum by (reason) (rate(parley_recorder_dropped_frames_total[5m]))"}),
    ("Packets outside frames", "pps", {"{{reason}}": "sum by (reason) (rate(parley_recorder_lost_packets_total[5m]))"}),
    ("Disk errors", "ops", {"{{errno}}": "sum by (errno) (rate(parley_recorder_disk_errors_total[5m]))"}),
    (
        "Sync to disk, 99 %",
        "s",
        {
            "{{instance}}": "histogram_quantile(0.99, "
            "sum by (instance, le) (rate(parley_recorder_sync_seconds_bucket[5m])))"
        },
    ),
    (
        "Finishing, 95 %",
        "s",
        {"all": "histogram_quantile(0.95, sum by (le) (rate(parley_recorder_finish_seconds_bucket[1h])))"},
    ),
    ("Segments closed", "ops", {"{{instance}}": "rate(parley_recorder_segments_total[5m])"}),
]

AI: list[Panel] = [
    ("Captions available", "short", {"{{instance}}": "parley_inference_captions_available"}),
    (
        "Caption latency, 95 %",
        "s",
        {
            "{{kind}}": "histogram_quantile(0.95, "
            "sum by (kind, le) (rate(parley_inference_caption_latency_seconds_bucket[5m])))"
        },
    ),
    (
        "One pass, 95 %",
        "s",
        {
            "batch": "histogram_quantile(0.95, sum by (le) (rate(parley_inference_pass_seconds_bucket[5m])))",
        },
    ),
    (
        "Tracks and utterances",
        "short",
        {"tracks": "sum(parley_inference_tracks_open)", "open": "sum(parley_inference_utterances_open)"},
    ),
    ("Waiting utterances", "short", {"{{instance}}": "parley_inference_finals_waiting"}),
    (
        "Clips in a batch, mean",
        "short",
        {
            "clips": "sum(rate(parley_inference_batch_clips_sum[5m])) "
            "/ sum(rate(parley_inference_batch_clips_count[5m]))"
        },
    ),
    (
        "Sound",
        "short",
        {
            "decoded": "sum(rate(parley_inference_decoded_seconds_total[5m]))",
            "speech": "sum(rate(parley_inference_voiced_seconds_total[5m]))",
        },
    ),
    ("Dropped", "ops", {"{{stage}}: {{reason}}": "sum by (stage, reason) (rate(parley_inference_drops_total[5m]))"}),
    ("Utterances without words", "ops", {"{{reason}}": "sum by (reason) (rate(parley_inference_wordless_total[5m]))"}),
    ("Triton usable", "short", {"{{endpoint}}": "parley_inference_triton_healthy"}),
    (
        "Triton: retried, failed",
        "ops",
        {
            "hedged": "sum(rate(parley_inference_triton_hedges_total[5m]))",
            "another recogniser": "sum(rate(parley_inference_fallbacks_total[5m]))",
        },
    ),
    ("Workers restarted", "ops", {"{{worker}}": "sum by (worker) (rate(parley_inference_worker_restarts_total[1h]))"}),
]

# Rooms have no metrics: their log lines are found by the ids in them.
# The text boxes start with a word that no id contains, because an empty one would match every line.
ROOM_LOGS: list[tuple[str, str]] = [
    ("All lines about the meeting", '{part=~".+"} |= "$meeting" | json | meeting="$meeting"'),
    ("Its warnings and errors", '{level=~"warning|error|critical"} |= "$meeting"'),
    ("One participant", '{part=~".+"} |= "$participant" | json | participant="$participant"'),
    ("At the gateway", '{part="gateway"} |= "$meeting"'),
]


def metrics_dashboard(
    uid: str, title: str, panels: list[Panel], *, first: Sequence[Stat] = (), by_instance: bool = False
) -> dict[str, Any]:
    """Return a dashboard of time series below a row of figures that show whether all is well."""
    variables = []
    if by_instance:
        query = "label_values(parley_sfu_rooms, instance)"
        variables = [
            {
                "name": "instance",
                "type": "query",
                "datasource": _PROMETHEUS,
                "query": {"query": query, "refId": "instances"},
                "includeAll": True,
                "multi": True,
                "allValue": ".*",
                "refresh": 2,
                "current": {"text": "All", "value": "$__all"},
            }
        ]
    above = [_stat(number, stat) for number, stat in enumerate(first)]
    drawn = [_time_series(number, panel, len(above)) for number, panel in enumerate(panels)]
    return _dashboard(uid, title, above + drawn, variables)


def _stat(number: int, stat: Stat) -> dict[str, Any]:
    title, unit, query, meaning, (yellow, red) = stat
    steps = [
        {"color": "green", "value": None},
        {"color": "yellow", "value": yellow},
        {"color": "red", "value": red},
    ]
    return {
        "id": number + 1,
        "type": "stat",
        "title": title,
        "description": meaning,
        "datasource": _PROMETHEUS,
        "gridPos": {"x": number * 4, "y": 0, "w": 4, "h": _STAT_HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "showPercentChange": False,
            "textMode": "auto",
            "wideLayout": True,
        },
        "targets": [{"refId": "A", "expr": query, "datasource": _PROMETHEUS}],
    }


def _time_series(number: int, panel: Panel, above: int) -> dict[str, Any]:
    title, unit, queries = panel
    place = _place(number)
    if above:
        place["y"] += _STAT_HEIGHT
    return {
        "id": above + number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": _PROMETHEUS,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": _PROMETHEUS}
            for index, (legend, query) in enumerate(queries.items())
        ],
    }


def room_dashboard() -> dict[str, Any]:
    """Return the dashboard of one meeting: log lines by its id."""
    variables = [{"name": name, "type": "textbox", "query": "none"} for name in ("meeting", "participant")]
    panels = [
        {
            "id": number + 1,
            "type": "logs",
            "title": title,
            "datasource": _LOKI,
            "gridPos": {"x": 0, "y": number * 10, "w": 24, "h": 10},
            "options": {
                "dedupStrategy": "none",
                "enableLogDetails": True,
                "prettifyLogMessage": False,
                "showCommonLabels": False,
                "showLabels": False,
                "showLogContextToggle": False,
                "showTime": True,
                "sortOrder": "Descending",
                "wrapLogMessage": True,
            },
            "targets": [{"refId": "A", "expr": query, "datasource": _LOKI}],
        }
        for number, (title, query) in enumerate(ROOM_LOGS)
    ]
    return _dashboard("parley-room", "Parley: one meeting", panels, variables)


def _place(number: int) -> dict[str, int]:
    row, column = divmod(number, _ACROSS)
    return {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}


def _dashboard(uid: str, title: str, panels: list[dict[str, Any]], variables: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "uid": uid,
        "title": title,
        "tags": ["parley"],
        "editable": False,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "annotations": {"list": []},
        "links": [_LINK],
        "templating": {"list": variables},
        "panels": panels,
    }


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard by its file name."""
    return {
        "overview.json": metrics_dashboard("parley-overview", "Parley: overview", OVERVIEW, first=FIRST),
        "node.json": metrics_dashboard("parley-node", "Parley: sfu nodes", NODE, by_instance=True),
        "recordings.json": metrics_dashboard("parley-recordings", "Parley: recordings", RECORDINGS),
        "stores.json": metrics_dashboard("parley-stores", "Parley: stores and what leaves", STORES),
        "ai.json": metrics_dashboard("parley-ai", "Parley: captions", AI),
        "room.json": room_dashboard(),
    }


if __name__ == "__main__":
    for name, dashboard in dashboards().items():
        (DIRECTORY / name).write_text(json.dumps(dashboard, indent=1) + "\n")
