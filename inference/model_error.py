"""The error raised to a model's caller, whether a worker or Triton runs the model."""


class ModelError(Exception):
    """A model gave no valid answer: it has ended, is too slow, or failed. Another model may be tried with the input."""
