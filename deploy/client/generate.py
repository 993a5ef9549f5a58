"""Generator of the client's REST methods and types, from the OpenAPI document of the server.

`python deploy/client/generate.py` writes rest_types.py, rest.py and blocking_rest.py. A test checks that they are
current.
"""

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control.app import openapi_document

HERE = Path(__file__).parent / "parley_client"
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_JSON = ("application/json", "application/problem+json")
Schema = dict[str, Any]


@dataclass(slots=True)
class Operation:
    """One method: its request, parameters and return type."""

    name: str
    method: str
    path: str
    summary: str
    in_path: list[str]
    query: list[tuple[str, str, bool]]
    """Name, type and whether it is required."""
    body: str | None
    takes_file: bool
    answer: str | None
    """None for bytes."""
    items: tuple[str, str] | None = field(default=None)
    """For a list in pages: the field of the entries, and their type."""

    @property
    def arguments(self) -> str:
        """The parameters after `self`."""
        wanted = [f"{name}: str" for name in self.in_path]
        wanted += [f"body: types.{self.body}"] if self.body else []
        wanted += ["content: bytes"] if self.takes_file else []
        named = [
            f"{name}: {kind}" if required else f"{name}: {kind.removesuffix(' | None')} | None = None"
            for name, kind, required in self.query
        ]
        return "".join(f", {one}" for one in [*wanted, *(["*"] if named else []), *named])

    @property
    def passed(self) -> str:
        """The parameters as arguments of a call to a method with the same ones."""
        given = [*self.in_path, *(["body"] if self.body else []), *(["content"] if self.takes_file else [])]
        return ", ".join([*given, *(f"{name}={name}" for name, _, _ in self.query)])

    @property
    def returns(self) -> str:
        return self.answer or "bytes"

    @property
    def request(self) -> str:
        """The arguments of the request."""
        url = re.sub(r"\{(\w+)\}", lambda found: "{_quoted(" + found[1] + ")}", self.path)
        parts = [f'"{self.method}"', f'{"f" if self.in_path else ""}"{url}"']
        parts += ["body=body"] if self.body else []
        parts += ["content=content"] if self.takes_file else []
        if self.query:
            parts.append("query={" + ", ".join(f'"{name}": {name}' for name, _, _ in self.query) + "}")
        return ", ".join(parts)


def operations(document: Schema) -> Iterator[Operation]:
    """Yield every operation of the document."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            parameters = described["parameters"]
            body = described.get("requestBody", {}).get("content", {})
            status = next(one for one in described["responses"] if one.startswith(("2", "3")))
            answers = [described["responses"][s].get("content", {}) for s in described["responses"] if s[0] in "23"]
            kinds = [c["application/json"]["schema"] for c in answers if "schema" in c.get("application/json", {})]
            operation = Operation(
                name=described["operationId"],
                method=method.upper(),
                path=path,
                summary=described["summary"],
                in_path=[p["name"] for p in parameters if p["in"] == "path"],
                query=[(p["name"], kind_of(p["schema"], ""), p["required"]) for p in parameters if p["in"] == "query"],
                body=_name(body["application/json"]["schema"]) if "application/json" in body else None,
                takes_file="application/octet-stream" in body,
                answer=" | ".join(dict.fromkeys(kind_of(kind) for kind in kinds)) or None,
            )
            if "cursor" in {name for name, _, _ in operation.query} and status == "200":
                operation.items = _items(document["components"]["schemas"][_name(kinds[0])])
            yield operation


def _items(schema: Schema) -> tuple[str, str]:
    ((name, described),) = ((n, p) for n, p in schema["properties"].items() if p.get("type") == "array")
    return name, kind_of(described["items"])


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def kind_of(schema: Schema, prefix: str = "types.") -> str:  # noqa: PLR0911  one for each kind of schema
    """Return the annotation of a schema."""
    if "$ref" in schema:
        return prefix + _name(schema)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return "Literal[" + ", ".join(map(repr, values)) + "]"
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return " | ".join(dict.fromkeys(kind_of(one, prefix) for one in schema[alternatives]))
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            return f"list[{kind_of(items, prefix) if items else 'Any'}]"
        case "object":
            values = schema.get("additionalProperties")
            return f"dict[str, {kind_of(values, prefix) if isinstance(values, dict) and values else 'Any'}]"
        case str(scalar):
            return _SCALARS[scalar]
    return "Any"


def _asked(document: Schema) -> set[str]:
    """Return the schemas that requests use; their optional fields may be absent."""
    schemas = document["components"]["schemas"]
    waiting = [operation.body for operation in operations(document) if operation.body]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r"#/components/schemas/(\w+)", str(schemas[name]))
    return found


def types_module(document: Schema) -> str:
    """Return the text of rest_types.py."""
    asked = _asked(document)
    parts = [_header("Types of REST requests and responses, as they are in JSON. Times are RFC 3339."), _TYPES_IMPORTS]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "enum" in schema:
            parts.append(f"{name} = {kind_of(schema, '')}\n")
            continue
        required = set(schema["properties"]) if name not in asked else set(schema.get("required", []))
        fields = []
        for label, kind in schema["properties"].items():
            annotation = kind_of(kind, "")
            fields.append((label, annotation if label in required else f"NotRequired[{annotation}]"))
        if any(keyword.iskeyword(label) for label, _ in fields):
            raise SystemExit(f"{name} has a field that is a keyword")
        lines = "\n".join(f"    {label}: {annotation}" for label, annotation in fields) or "    pass"
        text = _docstring(schema.get("description", ""), "    ")
        parts.append(f"class {name}(TypedDict):\n{text}{lines}\n")
    return _formatted("\n\n".join(parts))


def rest_module(document: Schema) -> str:
    """Return the text of rest.py."""
    parts = [_header("Every operation of the server's REST API as a method."), _REST_IMPORTS]
    for operation in operations(document):
        parts.append(f"    async def {operation.name}(self{operation.arguments}) -> {operation.returns}:\n")
        parts.append(_docstring(operation.summary, "        "))
        if operation.answer is None:
            parts.append(f"        return await self._connection.request_bytes({operation.request})\n\n")
        else:
            parts.append(f"        answer: {operation.answer} = await self._connection.request_json(")
            parts.append(f"{operation.request})\n        return answer\n\n")
        if operation.items is not None:
            entries, kind = operation.items
            parts.append(f"    async def {_every(operation)}(self{operation.arguments}) -> AsyncIterator[{kind}]:\n")
            parts.append(f'        """Yield the entries of `{operation.name}` from all pages."""\n')
            parts.append(f"        while True:\n            page = await self.{operation.name}({operation.passed})\n")
            parts.append(f'            for entry in page["{entries}"]:\n                yield entry\n')
            parts.append(
                '            cursor = page["next"]\n            if cursor is None:\n                return\n\n'
            )
    return _formatted("".join(parts))


def blocking_module(document: Schema) -> str:
    """Return the text of blocking_rest.py."""
    parts = [_header("The methods of `rest.Rest` for programs without asyncio."), _BLOCKING_IMPORTS]
    for operation in operations(document):
        parts.append(f"    def {operation.name}(self{operation.arguments}) -> {operation.returns}:\n")
        parts.append(_docstring(operation.summary, "        "))
        parts.append(f"        return self._loop.run(self._rest.{operation.name}({operation.passed}))\n\n")
        if operation.items is not None:
            kind = operation.items[1]
            parts.append(f"    def {_every(operation)}(self{operation.arguments}) -> Iterator[{kind}]:\n")
            parts.append(f'        """Yield the entries of `{operation.name}` from all pages."""\n')
            parts.append(f"        yield from self._loop.each(self._rest.{_every(operation)}({operation.passed}))\n\n")
    return _formatted("".join(parts))


def _every(operation: Operation) -> str:
    return f"iterate_{operation.name.removeprefix('list_').removeprefix('read_')}"


def _docstring(text: str, indent: str) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    if len(text) + len(indent) + 6 <= 118:
        return f'{indent}"""{text}"""\n' + ("\n" if indent == "    " else "")
    wrapped = textwrap.fill(text, 100, initial_indent=f'{indent}"""', subsequent_indent=indent)
    return f'{wrapped}\n{indent}"""\n' + ("\n" if indent == "    " else "")


def _header(summary: str) -> str:
    return f'"""{summary}\n\nGenerated by generate.py from the OpenAPI document: do not edit.\n"""\n'


_TYPES_IMPORTS = "from __future__ import annotations\n\nfrom typing import Any, Literal, NotRequired, TypedDict\n"
_REST_IMPORTS = '''
from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol
from urllib.parse import quote

from parley_client import rest_types as types

Query = dict[str, str | int | float | bool | None]


class Connection(Protocol):
    """The sender of requests: an Api."""

    async def request_json(
        self, method: str, path: str, *, body: Any = None, query: Query | None = None, content: bytes | None = None
    ) -> Any: ...

    async def request_bytes(
        self, method: str, path: str, *, body: Any = None, query: Query | None = None, content: bytes | None = None
    ) -> bytes: ...


def _quoted(value: str) -> str:
    return quote(value, safe="")


class Rest:
    """The REST API by operation. Methods raise ApiError for a refusal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

'''
_BLOCKING_IMPORTS = '''
from collections.abc import Iterator
from typing import Literal

from parley_client import rest_types as types
from parley_client.background_loop import BackgroundLoop
from parley_client.rest import Rest


class BlockingRest:
    """The REST API by operation. Methods raise ApiError for a refusal."""

    def __init__(self, rest: Rest, loop: BackgroundLoop) -> None:
        self._rest = rest
        self._loop = loop

'''


def _formatted(text: str) -> str:
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    for step in (["check", "--fix-only", "--quiet", "--select", "F,I,UP"], ["format", "--quiet"]):
        command = [*ruff, *step, "--stdin-filename", str(HERE / "rest.py"), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603  ruff
    return text


def modules() -> dict[str, str]:
    """Return the texts of the generated modules by file name."""
    document = openapi_document()
    return {
        "rest_types.py": types_module(document),
        "rest.py": rest_module(document),
        "blocking_rest.py": blocking_module(document),
    }


if __name__ == "__main__":
    for name, text in modules().items():
        (HERE / name).write_text(text, encoding="utf-8")
