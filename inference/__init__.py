"""Inference: a sink that decodes media with the participants' consent and reports what it recognises.

onnxruntime sends telemetry to its maker unless this is set before it is imported. Only modules of this package import
it, in workers and in Triton too. A meeting server must send nothing anywhere unless its operator asks for it.

gRPC writes a line of its own form for each process that is started beside it, unless it is told to write errors only.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
