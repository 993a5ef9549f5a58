"""Inference: a sink that decodes what participants consented to, and reports what it recognised.

onnxruntime reports its use to its maker unless this is set before it is imported, which only modules of this package
do, in workers and in Triton too. A meeting's server sends nothing anywhere without its operator's action.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
