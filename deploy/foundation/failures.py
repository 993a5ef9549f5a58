"""Descriptions of failures, for log lines and responses."""


def describe(error: BaseException) -> str:
    """Return the text of an exception, or a substitute: many, such as TimeoutError, are raised without a text."""
    text = str(error).strip()
    if text:
        return text
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
