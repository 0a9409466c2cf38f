"""The sheet that invoices and credit notes are printed on: its colours, its styles, its foot."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import attrs
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph

from adapters.paper.fonts import BOLD, PLAIN, east_asian, marked_up, register

INK, SOFT, LINE, ACCENT, WASH = (HexColor(c) for c in ("#1b2422", "#57625d", "#dfdcd1", "#0b645e", "#eef5f3"))
CARE, BAD = HexColor("#7d5207"), HexColor("#a52a22")

MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN
_FOOT = 12 * mm


@attrs.frozen
class Sheet:
    """Makes the paragraphs of one document and puts it together. locale: which Chinese, Japanese or Korean font."""

    locale: str
    title: str
    author: str
    foot: str

    def text(
        self,
        words: str,
        *,
        size: float = 9,
        bold: bool = False,
        colour: Any = INK,
        right: bool = False,
        after: float = 0,
        link: str | None = None,
    ) -> Paragraph:
        """A paragraph of plain text. size, after: in points."""
        register()
        markup = marked_up(words, self.locale, BOLD if bold else PLAIN)
        if link is not None:
            markup = f'<link href="{_quoted(link)}">{markup}</link>'
        style = ParagraphStyle(
            "text",
            fontName=BOLD if bold else PLAIN,
            fontSize=size,
            leading=size * 1.38,
            textColor=colour,
            alignment=TA_RIGHT if right else 0,
            spaceAfter=after,
            wordWrap="CJK" if east_asian(words) else None,
        )
        return Paragraph(markup, style)

    def printed(self, story: Callable[[], Sequence[Flowable]]) -> bytes:
        """The document. Printed twice, since the first page already says how many there are."""
        _, pages = self._print(story(), 0)
        content, _ = self._print(story(), pages)
        return content

    def _print(self, story: Sequence[Flowable], pages: int) -> tuple[bytes, int]:
        out = BytesIO()
        document = BaseDocTemplate(
            out,
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=18 * mm,
            bottomMargin=24 * mm,
            title=self.title,
            author=self.author,
            creator="Patchbay",
            lang=self.locale,
            invariant=1,  # no clock and no chance in it: the same invoice gives the same bytes
        )
        frame = Frame(
            MARGIN, 24 * mm, WIDTH, A4[1] - 42 * mm, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
        )
        foot = self.foot

        def draw_foot(canvas: Any, _: Any) -> None:
            canvas.saveState()
            canvas.setStrokeColor(LINE)
            canvas.setLineWidth(0.6)
            canvas.line(MARGIN, 19 * mm, A4[0] - MARGIN, 19 * mm)
            number = self.text(f"{canvas.getPageNumber()} / {pages}", size=7.5, colour=SOFT, right=True)
            number.wrapOn(canvas, WIDTH, _FOOT)
            number.drawOn(canvas, MARGIN, 14 * mm)
            words = self.text(foot, size=7.5, colour=SOFT)
            _, height = words.wrapOn(canvas, WIDTH - 22 * mm, _FOOT)
            words.drawOn(canvas, MARGIN, 17.5 * mm - height)
            canvas.restoreState()

        document.addPageTemplates([PageTemplate(id="sheet", frames=[frame], onPage=draw_foot)])
        document.build(list(story))
        return out.getvalue(), document.page


def _quoted(address: str) -> str:
    return address.replace("&", "&amp;").replace('"', "%22").replace("<", "%3C").replace(">", "%3E")
