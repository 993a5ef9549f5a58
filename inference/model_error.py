"""The error that a model's caller sees, whether a worker or Triton runs the model."""


class ModelError(Exception):
    """A model gave no answer: it is gone, slow or wrong. The input may be tried elsewhere."""
