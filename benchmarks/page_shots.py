"""The pictures of the page in docs/: drawing by day and by night, reading a page, and on a telephone.

python benchmarks/page_shots.py docs/

Run it after the page has changed. The numbers are written by `compose` with hands that are drawn, not collected.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from page_latency import DIGITS, chromium, draw
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect
from serve_load import OURS, serving

from digitnet.data.synthesis.composer import Composer
from digitnet.data.synthesis.writers import inventions

NUMBERS = ["1984", "27", "350", "4162", "96", "7265", "118", "30", "5807", "643", "92", "2016", "75", "8841", "309"]
HAND = 103
"""The seed that writes them on clean paper."""


def seen(page: Page, height: int | None = None) -> Image.Image:
    """Return the page from its top, down to `height` pixels or its end."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(400)  # until nothing has the colours of what is pointed at
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    return picture.crop((0, 0, picture.width, min(height or picture.height, picture.height)))


def save(picture: Image.Image, wide: int, path: Path) -> None:
    """Save a picture, `wide` pixels wide."""
    smaller = picture.resize((wide, round(picture.height * wide / picture.width)), Image.Resampling.LANCZOS)
    smaller.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def drawing(browser: Browser, url: str, scheme: str) -> Image.Image:
    """Draw a three for the tutorial's network, a map of it explained."""
    page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.select_option("#by", "digitnet")
    draw(page, DIGITS[0])
    expect(page.locator("#answer")).to_have_text("3")
    page.get_by_role("button", name="Filter 2 of 32").click()
    page.wait_for_timeout(2_000)  # until the needed ink is found
    return seen(page)


def reading(browser: Browser, url: str) -> Image.Image:
    """Read a page of numbers, the first doubtful one open to be corrected."""
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.goto(url + "#/read")
    sheet = io.BytesIO()
    Image.fromarray(Composer([(1, inventions(60, 1))], (), HAND).page(NUMBERS, 640).image).save(sheet, "png")
    file: FilePayload = {"name": "delivery-notes.png", "mimeType": "image/png", "buffer": sheet.getvalue()}
    page.set_input_files("#files", file)
    expect(page.locator("#count")).to_contain_text("to review")
    page.fill("#least", "99")
    page.keyboard.press("n")
    expect(page.locator(".typed:visible")).to_be_focused()
    return seen(page, 1100)


def telephone(browser: Browser, url: str) -> Image.Image:
    """Draw a number of two digits on a screen 375 pixels wide."""
    page = browser.new_page(viewport={"width": 375, "height": 812}, device_scale_factor=2, has_touch=True)
    page.goto(url)
    draw(page, DIGITS[0], right=-22)
    draw(page, DIGITS[1], right=15)
    expect(page.locator("#answer")).to_have_text("37")
    return seen(page, 2 * 940)


def main(folder: Path) -> None:
    with serving(*OURS) as (_, port), chromium() as browser:
        url = f"http://127.0.0.1:{port}/"
        day, night = drawing(browser, url, "light"), drawing(browser, url, "dark")
        both = Image.new("RGB", (day.width + night.width, max(day.height, night.height)))
        both.paste(day, (0, 0))
        both.paste(night, (day.width, 0))
        save(both, 1500, folder / "page-draw.png")
        save(reading(browser, url), 1000, folder / "page-read.png")
        save(telephone(browser, url), 500, folder / "page-phone.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
