"""Sound as arrays: (2, n) 32-bit samples, left and right, full scale 1.0."""

import numpy as np
import numpy.typing as npt

RATE = 48_000

Samples = npt.NDArray[np.float32]
