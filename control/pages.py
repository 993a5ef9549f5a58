"""The page: static files of the web root, with the headers that a page with camera access needs.

The build also compresses files (`x.js.br`, `x.js.gz`); the smallest form that the browser accepts is sent. Files in
`assets/` have a hash of their content in their names, and browsers cache them for a year.
"""

import asyncio
import gzip
import hashlib
import re
from pathlib import Path

from quart import Quart, Response, request
from werkzeug.routing import PathConverter

from control import branding
from control.branding import Branding
from control.http import file_response
from control.nodes import webtransport
from control.problem import not_found
from control.services import Services

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
    ".md": "text/markdown; charset=utf-8",
}
_PAGE_HEADERS = {
    # Trusted Types: only the policies that start the SDK's worker and the service worker can turn a string into a
    # script or a script's URL.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        " require-trusted-types-for 'script'; trusted-types parley-worker parley-page;"
        " media-src 'self' blob: mediastream:; connect-src 'self' {nodes}; worker-src 'self' blob:; object-src 'none';"
        " base-uri 'none'; form-action 'self'; frame-ancestors {frames}"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_WORKER = re.compile(r"effects-worker(-\w+)?\.js")
"""The only script that runs WebAssembly (a model that finds people in pictures): a worker, with a separate policy."""
_WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
_MEETING = re.compile(r"/m/[^/]+/?")
"""The only address that pages of other sites may show in a frame."""
_FOR_EVERYBODY = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
"""Headers of the script that pages of other sites load to embed a meeting. It contains nothing about anybody."""
_LOGO_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""SVG files can have styles, but run no scripts, even if somebody opens the logo by itself."""
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""File suffix by content coding, smallest files first."""
_BRANDED = {
    Path("index.html"): Branding.in_html,
    Path("app/install/manifest.webmanifest"): Branding.in_manifest,
    Path("app/install/offline.html"): Branding.in_html,
    Path("service-worker.js"): Branding.in_worker,
}
_NEVER = re.compile(r"q=0(\.0*)?")
_FOREVER = "public, max-age=31536000, immutable"
COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # browsers ignore it if there is a policy with frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _PagePath(PathConverter):
    """URL converter for paths that may be the page's. API paths get 404 instead, or 405 with the allowed methods."""

    regex = "(?!(?:api|internal|scim|ws)/|health|metrics|whip|whep)[^/].*?"


def install(app: Quart, services: Services) -> None:
    """Serve files by name. Any other path without a suffix is the page, which interprets its own address."""
    root = services.config.web_root.resolve()

    async def page(name: str = "") -> Response:
        path = (root / name).resolve() if "\x00" not in name else root
        if path != root and path.is_relative_to(root) and await asyncio.to_thread(path.is_file):
            return await _send(path, services)
        if "." in name.rpartition("/")[2]:
            raise not_found()
        return await _send(root / "index.html", services)

    async def api_docs() -> Response:
        return await _send(root / "api-docs" / "index.html", services)

    async def logo() -> Response:
        found = services.config.branding.logo
        if found is None:
            raise not_found()
        response = await _made(found.content, found.media_type)
        response.headers["Content-Security-Policy"] = _LOGO_POLICY
        return response

    app.add_url_rule("/", "page", page)
    app.add_url_rule(branding.LOGO_PATH, "logo", logo)
    app.add_url_rule("/api/docs", "api docs", api_docs)
    app.url_map.converters["page"] = _PagePath
    app.add_url_rule("/<page:name>", "page file", page)


async def _send(path: Path, services: Services) -> Response:
    content_type = _CONTENT_TYPES.get(path.suffix)
    if content_type is None or not await asyncio.to_thread(path.is_file):
        raise not_found()
    file = path.relative_to(services.config.web_root.resolve())
    insert = _BRANDED.get(file)
    if insert is not None and not services.config.branding.is_default:
        text = await asyncio.to_thread(path.read_text)
        response, coding = await _branded(insert(services.config.branding, text).encode(), content_type)
    else:
        coding, coded = await asyncio.to_thread(_coded, path, request.headers.get("Accept-Encoding", ""))
        # Files with constant names are revalidated on each use, so the page never loads scripts of another release.
        cache = _FOREVER if file.parts[0] == "assets" else "no-cache"
        response = await file_response.send_file(request, coded, content_type, cache)
    response.headers["Vary"] = "Accept-Encoding"
    if coding:
        response.headers["Content-Encoding"] = coding
    nodes = webtransport.sources(services.registry.known(), request.host.rpartition(":")[0] or request.host)
    embeds = services.config.embed_origins if _MEETING.fullmatch(request.path) else ()
    frames = " ".join(("'self'", *embeds)) if embeds else "'none'"
    for name, value in _PAGE_HEADERS.items():
        response.headers[name] = value.replace("{nodes}", " ".join(nodes)).replace("{frames}", frames)
    if file == Path("sdk/embed.js"):
        response.headers.update(_FOR_EVERYBODY)
    if _WORKER.fullmatch(path.name):
        response.headers["Content-Security-Policy"] = _WORKER_POLICY
    return response


async def _branded(body: bytes, content_type: str) -> tuple[Response, str]:
    """Return the response with a file that contains the brand, and its content coding."""
    coding = "gzip" if "gzip" in _accepted(request.headers.get("Accept-Encoding", "")) else ""
    return await _made(body, content_type, gzip.compress(body, mtime=0) if coding else None), coding


async def _made(body: bytes, content_type: str, coded: bytes | None = None) -> Response:
    """Return the response with content that is not a file, which is revalidated on each use."""
    response = Response(body if coded is None else coded, content_type=content_type)
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    await response.make_conditional(request)
    return response


def _accepted(header: str) -> set[str]:
    offers = (one.partition(";") for one in header.lower().split(","))  # RFC 9110, section 12.5.3
    return {name.strip() for name, _, weight in offers if not _NEVER.fullmatch(weight.strip())}


def _coded(path: Path, accepted: str) -> tuple[str, Path]:
    """Return the best content coding that the browser accepts, and the encoded file; "" means the file itself."""
    accepts = _accepted(accepted)
    for coding, suffix in _ENCODINGS.items():
        coded = path.with_name(path.name + suffix)
        if coding in accepts and coded.is_file():
            return coding, coded
    return "", path
