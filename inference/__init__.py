"""Inference: a sink that decodes media with the participants' consent and reports what it recognises.

onnxruntime sends telemetry to its maker unless this is set before it is imported. Only modules of this package import
it, in workers and in Triton too. A meeting server must send nothing anywhere unless its operator asks for it.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
