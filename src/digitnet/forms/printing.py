"""A template as a blank sheet: a PDF to print, a picture to compose filled sheets on."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitnet.core.errors import DataError
from digitnet.forms.layout import MODULES, labels, lines, modules, places
from digitnet.forms.template import Template, default_number

POINT = 72 / 25.4
"""Points to a millimetre."""


def pdf(template: Template) -> bytes:
    """Return a blank sheet of a form as PDF, the same bytes each time.

    Raises DataError where the template has no markers, or a text the font has no letters for.
    """
    from reportlab.pdfgen.canvas import Canvas

    if template.markers is None:
        wanted = f'"markers": {{"number": {default_number(template.name)}}}'
        raise DataError(f"form {template.name}: has no markers; add {wanted}, another number for each form")
    width, height = template.page
    packed = io.BytesIO()
    canvas = Canvas(packed, pagesize=(width * POINT, height * POINT), invariant=1)
    canvas.setTitle(template.title or template.name)
    canvas.scale(POINT, POINT)
    for field in template.fields:
        for line in lines(field):
            canvas.setStrokeGray(line.grey)
            canvas.setLineWidth(line.width)
            canvas.setLineCap(2)
            canvas.line(line.start[0], height - line.start[1], line.end[0], height - line.end[1])
    canvas.setFillGray(0)
    for label in labels(template):
        try:
            label.text.encode("cp1252")
        except UnicodeEncodeError as error:
            raise DataError(f"text {label.text!r}: the font of printed sheets is Latin; write it in Latin") from error
        canvas.setFont("Helvetica", label.height)
        canvas.drawString(label.at[0], height - label.at[1], label.text)
    for corner, (left, top, right, _) in places(template.markers, template.page).items():
        module = (right - left) / MODULES
        for row, column in np.argwhere(modules(template.markers.number, corner)).tolist():
            # A little larger than a module, so that viewers show no seams.
            y = height - top - (row + 1) * module
            canvas.rect(left + column * module, y, module * 1.01, module * 1.01, stroke=0, fill=1)
    canvas.showPage()
    canvas.save()
    return packed.getvalue()


def picture(template: Template, scale: float, texts: bool = True) -> NDArray[np.uint8]:
    """Return a blank sheet of a form as a picture (h, w) uint8, 0 black .. 255 white; scale: pixels to a millimetre.

    texts: whether labels are printed, too.
    """
    times = 2  # drawn larger, for smooth edges
    size = round(template.page[0] * scale), round(template.page[1] * scale)
    image = Image.new("L", (size[0] * times, size[1] * times), 255)
    draw = ImageDraw.Draw(image)
    scale *= times
    for field in template.fields:
        for line in lines(field):
            half = line.width / 2
            (x0, y0), (x1, y1) = sorted((line.start, line.end))
            start = [(min(x0, x1) - half) * scale, (min(y0, y1) - half) * scale]
            draw.rectangle([*start, (max(x0, x1) + half) * scale, (max(y0, y1) + half) * scale], round(255 * line.grey))
    for label in labels(template) if texts else ():
        font = ImageFont.load_default(label.height * scale)
        draw.text((label.at[0] * scale, label.at[1] * scale), label.text, 0, font, anchor="ls")
    for corner, box in (places(template.markers, template.page) if template.markers else {}).items():
        dark = Image.fromarray(np.where(modules(template.markers.number, corner), 0, 255).astype(np.uint8))  # type: ignore[union-attr]
        left, top, right, bottom = (round(edge * scale) for edge in box)
        image.paste(dark.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.uint8)
