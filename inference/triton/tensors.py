"""Conversion of tensors in Triton's Python backend, for any numpy that it was built with.

The backend's `as_numpy` and `Tensor` expect numpy 1's memory layout. Under numpy 2, they return nothing, but DLPack
works. Under numpy 1, an export over DLPack fails when the capsule is freed.
"""

from typing import Any

import numpy as np
import triton_python_backend_utils as triton

_NUMPY_2 = int(np.__version__.split(".", maxsplit=1)[0]) >= 2


def read(request: Any, name: str) -> Any:
    """Return a request's input as an array."""
    tensor = triton.get_input_tensor_by_name(request, name)
    return np.from_dlpack(tensor) if _NUMPY_2 else tensor.as_numpy()


def response(name: str, array: Any) -> Any:
    """Return a response with one output."""
    contiguous = np.ascontiguousarray(array)
    tensor = triton.Tensor.from_dlpack(name, contiguous) if _NUMPY_2 else triton.Tensor(name, contiguous)
    return triton.InferenceResponse([tensor])
