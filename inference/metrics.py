"""Metrics of the inference process, in Prometheus's default registry."""

from prometheus_client import Counter, Gauge, Histogram

LATENCY = Histogram(
    "parley_inference_caption_latency_seconds",
    "Time from the end of a caption's audio to the sending of the caption.",
    ["kind"],
    buckets=(0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
PASS = Histogram(
    "parley_inference_pass_seconds",
    "Time to recognise one batch of speech.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10),
)
BATCH = Histogram("parley_inference_batch_clips", "Clips in a batch.", buckets=(1, 2, 3, 4, 6, 8, 16))
FINALS_WAITING = Gauge("parley_inference_finals_waiting", "Ended utterances that are waiting for the recogniser.")
SPEAKING = Gauge("parley_inference_utterances_open", "Utterances in progress.")
TRACKS = Gauge("parley_inference_tracks_open", "Audio tracks that are being tapped.")
DROPS = Counter("parley_inference_drops_total", "Dropped input, by stage and reason.", ["stage", "reason"])
WORDLESS = Counter("parley_inference_wordless_total", "Utterances that ended without a caption, by reason.", ["reason"])
DECODED = Counter("parley_inference_decoded_seconds_total", "Sound decoded.")
VOICED = Counter("parley_inference_voiced_seconds_total", "Seconds of sound that were speech.")
RESTARTS = Counter("parley_inference_worker_restarts_total", "Restarts of workers that ended.", ["worker"])
FACTS = Counter("parley_inference_facts_total", "Final captions for control, by outcome.", ["outcome"])
FACTS_WAITING = Gauge("parley_inference_facts_waiting", "Final captions that control has not acknowledged.")
AVAILABLE = Gauge("parley_inference_captions_available", "1 while captions are available, else 0.")
HEDGES = Counter("parley_inference_triton_hedges_total", "Clips that were also sent to a second Triton endpoint.")
FALLBACKS = Counter("parley_inference_fallbacks_total", "Batches that another recogniser took over after a failure.")
TRITON_HEALTHY = Gauge(
    "parley_inference_triton_healthy", "1 while the endpoint is healthy and used, else 0.", ["endpoint"]
)
VIDEO_TRACKS = Gauge("parley_inference_cameras_open", "Cameras that are being analysed.")
PICTURES = Counter("parley_inference_pictures_total", "Pictures of cameras that were decoded and analysed.")
FACES_SEEN = Counter("parley_inference_faces_total", "Faces found in pictures of cameras.")


def count_facts(outcome: str, number: int) -> None:
    """Count facts by outcome (sfu.api.fact_reporter)."""
    FACTS.labels(outcome).inc(number)


def drop_unsent(reason: str) -> None:
    """Count a record that the sfu did not accept (sfu.api.sink_client)."""
    DROPS.labels("sfu", reason).inc()
