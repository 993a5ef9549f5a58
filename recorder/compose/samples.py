"""Sound as arrays: (2, n) samples of 32 bits, left and right, 1.0 full scale."""

import numpy as np
import numpy.typing as npt

RATE = 48_000

Samples = npt.NDArray[np.float32]
