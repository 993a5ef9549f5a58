"""The operator's name, logo, colour and links."""

import dataclasses
import json
import re
from html import unescape
from pathlib import Path

import aiohttp
import pytest

import web
from control.branding import Branding, accent_tokens
from control.config import ControlConfig
from foundation import pictures
from foundation.pictures import Picture
from tests.control.harness import serving

NAME = 'Ada & <b>"Co"'


async def test_the_page_has_the_operators_name_logo_and_links(config: ControlConfig, tmp_path: Path) -> None:
    file = tmp_path / "logo.svg"
    file.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    logo = pictures.read(Picture(file))
    links = (("Help", "https://help.example"),)
    brand = Branding(name=NAME, logo=logo, tokens=accent_tokens("#7a1f5c"), links=links, imprint="https://a.example/i")
    config = dataclasses.replace(config, web_root=web.ROOT, branding=brand)
    async with serving(config) as server, aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/") as answer:
            page, tag = await answer.text(), answer.headers["ETag"]
            assert answer.headers["Content-Encoding"] == "gzip"
        async with session.get(f"{server.url}/", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
        async with session.get(f"{server.url}/brand/logo") as answer:
            assert answer.content_type == "image/svg+xml"
            assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        async with session.get(f"{server.url}/app/install/manifest.webmanifest") as answer:
            assert json.loads(await answer.text())["name"] == NAME
        async with session.get(f"{server.url}/app/install/offline.html") as answer:
            offline = await answer.text()
        async with session.get(f"{server.url}/service-worker.js") as answer:
            worker = await answer.text()
    assert "Parley" not in offline and '<img src="/brand/logo"' in offline and 'name="brand"' in offline
    assert "'/brand/logo']" in worker and re.search(r"const VERSION = 'sources-\w{12}';", worker)
    assert "Parley" not in page
    assert "<b>" not in page
    assert '<link rel="icon" href="/brand/logo" type="image/svg+xml"' in page
    found = re.search(r'<meta name="brand" content="([^"]*)"', page)
    assert found is not None
    told = json.loads(unescape(found[1]))
    assert (told["name"], told["links"]) == (NAME, [["Help", "https://help.example"]])
    assert told["tokens"]["accent-fill"].startswith("light-dark(#7a1f5c, ")


@pytest.mark.parametrize("accent", ["#3652cf", "#000000", "#c02a35", "#0a7d3c", "#767676", "#0000ff", "#5a005a"])
def test_an_accent_can_be_read_in_both_themes(accent: str) -> None:
    tokens = {name: re.findall(r"#\w{6}", value) for name, value in accent_tokens(accent).items()}
    grounds = (("#ffffff", "#f5f6f8", "#eef0f4"), ("#0e1116", "#161a21", "#20262f"))
    for theme, around in enumerate(grounds):
        accent_text, fill, hover, tint = (
            tokens[name][theme] for name in ("accent", "accent-fill", "accent-fill-hover", "accent-tint")
        )
        assert min(ratio(accent_text, ground) for ground in (*around, tint)) >= 4.5
        assert min(ratio("#ffffff", fill), ratio("#ffffff", hover)) >= 4.5
        assert ratio(fill, around[0]) >= 3


def test_a_pale_accent_is_refused_with_a_better_one() -> None:
    with pytest.raises(ValueError, match=r"contrast of 1\.5, but needs 4\.5; #8f7200 has enough"):
        accent_tokens("#ffcc00")


def ratio(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
