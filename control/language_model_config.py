"""Configuration of the language model that summarizes meetings."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelConfig:
    """`url` is the API's base (https://llm.example.org/v1). `private` allows a private network and plain HTTP."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    private: bool = False
