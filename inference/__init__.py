"""Inference: a sink that decodes what participants consented to, and says what it understood.

onnxruntime reports about its use to its maker unless this is set before it is imported, which only modules of this
package do, in workers and in Triton too. Nothing about a meeting's server goes anywhere without its operator's doing.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
