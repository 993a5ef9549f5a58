"""Examples for the OpenAPI document, generated from the schemas: values that fit each field's name, type and bounds."""

from typing import Any

Schema = dict[str, Any]
_BY_NAME: dict[str, Any] = {
    "title": "Weekly review",
    "name": "Ada",
    "display_name": "Ada Lovelace",
    "username": "ada",
    "email": "ada@example.org",
    "identity": "user-7",
    "url": "https://example.org/hook",
    "text": "Hello, everybody",
    "meeting": "abcd-efgh-ijkl",
    "participant": "p_5f2c",
    "time_zone": "Europe/Berlin",
    "lang": "en",
    "address": "192.0.2.7",
    "recurrence": "FREQ=WEEKLY;BYDAY=MO",
    "code": "123456",
    "password": "correct horse battery staple",
    "passcode": "open sesame",
}
_BY_FORMAT = {"date-time": "2026-03-01T09:00:00Z", "uri": "https://example.org/"}
_DEEPEST = 6


def example_of(schema: Schema, components: dict[str, Schema], name: str = "", depth: int = 0) -> Any:  # noqa: PLR0911  by kind
    """Return a value that fits a schema; optional fields are left out."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, name, depth)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            chosen = next((one for one in schema[alternatives] if one.get("type") != "null"), schema[alternatives][0])
            return example_of(chosen, components, name, depth)
    match schema.get("type"):
        case "object" if depth < _DEEPEST:
            fields = schema.get("properties", {})
            wanted = schema.get("required", [])
            return {field: example_of(fields[field], components, field, depth + 1) for field in wanted}
        case "array":
            items = schema.get("items")
            count = schema.get("minItems", 1 if items and depth < _DEEPEST else 0)
            return [example_of(items, components, name, depth + 1) for _ in range(count)] if items else []
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return True
    return {} if schema.get("type") == "object" else None


def _text(schema: Schema, name: str) -> str:
    if "+@[" in schema.get("pattern", ""):
        name = "email"
    text = _BY_FORMAT.get(schema.get("format", "")) or _BY_NAME.get(name, "example")
    longest = schema.get("maxLength", len(text))
    return str(text)[:longest].ljust(schema.get("minLength", 0), "x")
