"""Draw the icons of the installed page from app/icon.svg: `python web/tools/draw-icons.py`, then commit them.

Needs Playwright and Chromium, as the tests do. A maskable icon fills its square, and the mark is in the inner 80 %.
"""

import asyncio
from pathlib import Path

from playwright.async_api import async_playwright

APP = Path(__file__).parent.parent / "app"
FULL = {"maskable-512": 512, "apple-touch-icon": 180}
ROUND = {"icon-192": 192, "icon-512": 512}


async def main() -> None:
    mark = (APP / "icon.svg").read_text()
    # Without round corners and with a margin, of the same colour: systems cut these icons into shapes of their own.
    full = mark.replace('rx="9"', "").replace('viewBox="0 0 32 32"', 'viewBox="-2 -2 36 36"')
    full = full.replace('<rect width="32" height="32"', '<rect x="-2" y="-2" width="36" height="36"')
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium")
        page = await browser.new_page()
        for name, size in {**FULL, **ROUND}.items():
            await page.set_viewport_size({"width": size, "height": size})
            await page.set_content(f"<style>*{{margin:0}}svg{{display:block}}</style>{full if name in FULL else mark}")
            await page.screenshot(path=APP / "install" / f"{name}.png", omit_background=True)
        await browser.close()


asyncio.run(main())
