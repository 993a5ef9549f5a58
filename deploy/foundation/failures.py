"""Failures in words, for log lines and for answers."""


def describe(error: BaseException) -> str:
    """Return what an exception says; never empty: many, a TimeoutError above all, are raised without a text."""
    text = str(error).strip()
    if text:
        return text
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
