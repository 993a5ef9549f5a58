"""Writes the generated pages of the site: settings, REST and signaling, from what the code declares.

A hook of MkDocs, which calls `on_pre_build` before it reads the pages. The pages are not kept in the repository. Other
pages each include a README: `on_page_content` points the links in it to the pages of the site.
"""

import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from control.app import openapi_document
from foundation.setting_groups import GROUPS, Setting
from sfu.api import signaling

HERE = Path(__file__).parent
PAGES = HERE / "pages"
_INCLUDE = re.compile(r'--8<-- "([^"]+)"')
_LINK = re.compile(r'<a href="(?P<href>(?!https?:|#|mailto:)[^"]+)">(?P<text>.*?)</a>', re.DOTALL)


def on_pre_build(config: object) -> None:
    """Write the pages and copy the pictures."""
    reference = PAGES / "reference"
    reference.mkdir(exist_ok=True)
    texts = {"settings": _settings(), "rest": _rest(openapi_document()), "signaling": _signaling(signaling.schema())}
    texts["alerts"] = _alerts(yaml.safe_load((HERE.parent / "deploy/prometheus/rules/alerts.yml").read_text()))
    for name, lines in texts.items():
        (reference / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for folder in (PAGES / "pictures", PAGES / "docs" / "pictures"):  # the paths used by pages, and by the README
        folder.mkdir(parents=True, exist_ok=True)
        for picture in (*(HERE / "pictures").glob("*.svg"), *(HERE / "pictures").glob("*.png")):
            shutil.copy(picture, folder)


def on_page_content(html: str, page: Any, **_: object) -> str:
    """Return a page whose links to included files lead to their pages; links to other repository files become text."""
    sources = dict(_included())
    source = sources.get(page.file.src_path)
    if source is None:
        return html
    targets = {included: name for name, included in sources.items()}

    def linked(found: re.Match[str]) -> str:
        path, hash_mark, anchor = found["href"].partition("#")
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if named in targets:
            return f'<a href="{_up(page.url)}{_url(targets[named])}{hash_mark}{anchor}">{found["text"]}</a>'
        return found["text"] if (HERE.parent / named).exists() else found[0]

    return _LINK.sub(linked, html)


def _included() -> Iterator[tuple[str, str]]:
    """Yield (page, file that it includes)."""
    for page in PAGES.glob("*.md"):
        if found := _INCLUDE.fullmatch(page.read_text(encoding="utf-8").strip()):
            yield page.name, found[1]


def _url(page: str) -> str:
    return "" if page == "index.md" else f"{page.removesuffix('.md')}/"


def _up(url: str) -> str:
    return "../" * url.count("/") or "./"


def _alerts(rules: dict[str, Any]) -> Iterator[str]:
    """Yield the run book: each alert with its meaning, the action to take, and its expression."""
    yield "# Alerts"
    yield ""
    yield "A page wakes somebody; a ticket waits for the morning. [On call](../on-call.md) has the tools."
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        told = rule["annotations"]
        summary = re.sub(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}", r"*\1*", told["summary"])
        waits = f", after {rule['for']}" if "for" in rule else ""
        yield f"\n## {rule['alert']}\n"
        yield f"{rule['labels']['severity'].capitalize()}{waits}: {summary}.\n"
        yield f"{told['action']}\n"
        yield f"```promql\n{rule['expr'].strip()}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "A flag overrides the environment, the environment overrides the TOML file, and the file overrides the"
    yield "default. Add `_FILE` to a variable to name a file that contains the value. `parley config` shows each value"
    yield "and its source."
    for group in GROUPS:
        yield from ("", f"## {group.title}", "")
        yield from _table(("setting", "variable", "default", "meaning"), map(_setting, group.settings))


def _setting(setting: Setting) -> tuple[str, str, str, str]:
    value = ("off", "on")[setting.default] if setting.kind is bool else setting.default
    default = "" if value in (None, (), "") else f"`{value}`"
    notes = [
        note
        for note, holds in (
            ("secret: no flag", setting.secret),
            ("can change while parts run", setting.live),
            (f"formerly `{setting.old_name}`", setting.old_name),
        )
        if holds
    ]
    meaning = setting.meaning + (f" ({'; '.join(notes)})" if notes else "")
    return f"`{setting.name}`", f"`{setting.variable}`", default, meaning


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _rest(document: dict[str, Any]) -> Iterator[str]:
    yield "# REST"
    yield ""
    yield "From the OpenAPI document, which a server offers at `/api/v1/openapi.json` and shows at `/api/docs`."
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            row = (f"`{method.upper()}`", f"`{path}`", operation["summary"])
            by_tag.setdefault(operation["tags"][0], []).append(row)
    for tag, rows in sorted(by_tag.items()):
        yield from ("", f"## {tag}", "")
        yield from _table(("method", "path", "what it does"), rows)


def _signaling(schema: dict[str, Any]) -> Iterator[str]:
    yield "# Signaling"
    yield ""
    yield "JSON messages on `/ws/signaling`, told apart by `kind`. Unknown fields are ignored, unknown kinds refused."
    for name, definition in sorted(schema["$defs"].items()):
        yield from ("", f"## {name}", "")
        if "description" in definition:
            yield from (definition["description"], "")
        properties = definition.get("properties", {})
        if properties:
            required = set(definition.get("required", ()))
            rows = ((f"`{key}`", _kind(value), "yes" if key in required else "") for key, value in properties.items())
            yield from _table(("field", "type", "required"), rows)


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
