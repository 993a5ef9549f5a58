"""Configuration of the inference process: plain values. Only the `parley` package reads flags and files."""

from dataclasses import dataclass
from pathlib import Path

from foundation.part_tls import PartTls


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceConfig:
    """Settings of one inference process.

    `sink_socket` is the sfu's SEQPACKET socket; Finals are reported to `control_url` (control's internal listener) with
    `node_secret`, or not at all if that is "". `models_dir` is where `parley models fetch` puts models; models that
    appear there later are used without a restart. `runtime_dir` holds files while they are transcribed. `languages` are
    the ISO 639-1 codes of the languages spoken in meetings here, most likely first; empty leaves the choice to the
    model. `threads` is for speech recognition alone. `triton_urls` are host:port of Triton's gRPC endpoints, preferred
    to the local recogniser. `voice_detector_card` and `face_detector_card` are model cards (TOML, see
    inference.synthetic.detector) of detectors of synthetic media on the first of these endpoints. `api_host` and
    `api_port` (0: allocate, None: off) serve the API that control calls with the node secret.
    """

    sink_socket: Path
    models_dir: Path
    runtime_dir: Path | None = None
    instance: str = "inference-1"
    control_url: str = ""
    node_secret: str = ""
    tls: PartTls | None = None
    threads: int = 1
    languages: tuple[str, ...] = ()
    triton_urls: tuple[str, ...] = ()
    voice_detector_card: Path | None = None
    face_detector_card: Path | None = None
    api_host: str = "127.0.0.1"
    api_port: int | None = None
    nice: int = 10
