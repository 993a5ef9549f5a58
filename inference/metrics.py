"""Metrics of the inference process, in Prometheus' default registry."""

from prometheus_client import Counter, Gauge, Histogram

LATENCY = Histogram(
    "parley_inference_caption_latency_seconds",
    "From the end of the audio that a caption covers to its sending.",
    ["kind"],
    buckets=(0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
PASS = Histogram(
    "parley_inference_pass_seconds",
    "One batch through the speech recogniser.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10),
)
BATCH = Histogram("parley_inference_batch_clips", "Clips in a batch.", buckets=(1, 2, 3, 4, 6, 8, 16))
FINALS_WAITING = Gauge("parley_inference_finals_waiting", "Ended utterances that wait for the recogniser.")
SPEAKING = Gauge("parley_inference_utterances_open", "Utterances under way.")
TRACKS = Gauge("parley_inference_tracks_open", "Audio tracks tapped now.")
DROPS = Counter("parley_inference_drops_total", "What was dropped, by stage and reason.", ["stage", "reason"])
WORDLESS = Counter("parley_inference_wordless_total", "Utterances that ended without a caption, by reason.", ["reason"])
DECODED = Counter("parley_inference_decoded_seconds_total", "Sound decoded.")
VOICED = Counter("parley_inference_voiced_seconds_total", "Sound that was speech.")
RESTARTS = Counter("parley_inference_worker_restarts_total", "Workers that ended and were started again.", ["worker"])
FACTS = Counter("parley_inference_facts_total", "Final captions for control, by outcome.", ["outcome"])
FACTS_WAITING = Gauge("parley_inference_facts_waiting", "Final captions that control has not acknowledged.")
AVAILABLE = Gauge("parley_inference_captions_available", "1 while captions can be made.")
HEDGES = Counter("parley_inference_triton_hedges_total", "Clips that were sent to a second Triton as well.")
FALLBACKS = Counter("parley_inference_fallbacks_total", "Batches that another recogniser took over.")
TRITON_HEALTHY = Gauge("parley_inference_triton_healthy", "1 while the endpoint is healthy and used.", ["endpoint"])
VIDEO_TRACKS = Gauge("parley_inference_cameras_open", "Cameras that are analysed now.")
PICTURES = Counter("parley_inference_pictures_total", "Pictures of cameras that were decoded and looked at.")
FACES_SEEN = Counter("parley_inference_faces_total", "Faces found in them.")


def count_facts(outcome: str, number: int) -> None:
    """Count facts that had an outcome (sfu.api.fact_reporter)."""
    FACTS.labels(outcome).inc(number)


def drop_unsent(reason: str) -> None:
    """Count a record that the sfu did not take (sfu.api.sink_client)."""
    DROPS.labels("sfu", reason).inc()
