"""The cost of reading files that are made to grow: peak memory relative to the text, and time.

Each file is read by a process of its own, whose peak is that of nothing else. Memory is what the operating system counts
(`VmHWM`), beyond what the process and its worker have when they begin to read.
"""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import Figure

_SPARE_MB: Final = 64
_TIMES_THE_TEXT: Final = 8
_SECONDS: Final = 30.0
_MILLION: Final = 1_000_000
_W: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_X: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_R: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"

_READER: Final = """
import json, sys, time
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.parsing import worker
from langchain_mix.retrievers.parsing import parse
from langchain_mix.retrievers.parsing.parsed import Parsed
name, seconds, data = sys.argv[1], float(sys.argv[2]), sys.stdin.buffer.read()
def peak(pid="self"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
if name.endswith(".pdf"):
    parse("warm.pdf", b"%PDF-1.4 1 0 obj", Limits())  # Starts the worker, which loads its library.
everyone = ["self", *(w._process.pid for w in worker._pool._idle)]
for pid in everyone:
    open(f"/proc/{pid}/clear_refs", "w").write("5")
before, started = sum(map(peak, everyone)), time.monotonic()
found = parse(name, data, Limits(max_seconds=seconds))
took = time.monotonic() - started
grown = sum(map(peak, everyone)) - before
text = len(found.text) if isinstance(found, Parsed) else 0
print(json.dumps({"grown": grown, "took": took, "text": text / 1e6}))
"""


def measure(_often: int) -> list[Figure]:
    """Reads each file once.

    Returns:
        Peak and time of each.
    """
    if not Path("/proc/self/clear_refs").exists():
        return [Figure("peak memory of files that are made to grow", None, "MB", note="is counted on Linux alone")]
    return [figure for what, (name, make) in _FILES.items() for figure in _read(what, name, make())]


def _read(what: str, name: str, data: bytes) -> list[Figure]:
    ran = subprocess.run(
        [sys.executable, "-c", _READER, name, str(_SECONDS)], input=data, capture_output=True, check=True
    )
    told = json.loads(ran.stdout)
    most = _TIMES_THE_TEXT * max(told["text"], len(data) / _MILLION if name.endswith(_TEXTS) else 0) + _SPARE_MB
    size = f"of {len(data) / 1000:,.0f} kB"
    return [
        Figure(f"{what} {size}, peak", told["grown"], "MB", most=round(most)),
        Figure(f"{what} {size}, time", told["took"], "s", most=_SECONDS + 5),
    ]


def _archive(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return target.getvalue()


def _word(body: str) -> bytes:
    xml = f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    return _archive(**{"word/document.xml": xml})


def _excel(rows: str, strings: str = "") -> bytes:
    relations = "".join(
        f'<Relationship Id="{kind}" Type="{_R}/{kind}" Target="{target}"/>'
        for kind, target in (("worksheet", "sheet.xml"), ("sharedStrings", "strings.xml"))
    )
    return _archive(
        **{
            "xl/workbook.xml": f'<workbook xmlns="{_X}" xmlns:r="{_R}"><sheets><sheet name="S" r:id="worksheet"/>'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>',
            "xl/sheet.xml": f'<worksheet xmlns="{_X}"><sheetData>{rows}</sheetData></worksheet>',
            "xl/strings.xml": f'<sst xmlns="{_X}">{strings}</sst>',
        }
    )


def _notebook() -> bytes:
    picture = base64.b64encode(random.Random(1).randbytes(7_500_000)).decode()
    output = {"output_type": "display_data", "data": {"image/png": picture}}
    return json.dumps({"cells": [{"cell_type": "code", "source": "plot()", "outputs": [output]}]}).encode()


def _pdf(content: bytes) -> bytes:
    packed = zlib.compress(content)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(packed), packed),
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj%b endobj\n" % (n, o) for n, o in enumerate(objects, 1))
    return body + b"trailer<</Root 1 0 R/Size 5>>\nstartxref\n0\n%%EOF"


_TEXTS: Final = (".json", ".ipynb", ".csv")
_FILES: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "notebook with a picture": ("a.ipynb", _notebook),
    "JSON of lists": ("a.json", lambda: b"[" + b"[[[[]]]]," * 450_000 + b"[]]"),
    "JSON of small objects": ("a.json", lambda: b"[" + b'{"a":{}},' * 450_000 + b"{}]"),
    "table of empty lines": ("a.csv", lambda: b"a,b\n" + b"\n" * 8 * _MILLION),
    "Word of empty paragraphs": ("a.docx", lambda: _word("<w:p/>" * 6 * _MILLION)),
    "Word of cells": ("a.docx", lambda: _word("<w:tr>" + "<w:tc></w:tc>" * 4 * _MILLION + "</w:tr>")),
    "Word of depth": ("a.docx", lambda: _word("<w:sdt>" * 5 * _MILLION)),
    "Excel of empty rows": ("a.xlsx", lambda: _excel("<row/>" * 8 * _MILLION)),
    "Excel of one long text": (
        "a.xlsx",
        lambda: _excel('<row><c t="s"><v>0</v></c></row>' * 16_000, f"<si><t>{'x' * 130_000}</t></si>"),
    ),
    "Excel of texts": ("a.xlsx", lambda: _excel('<row><c t="s"><v>0</v></c></row>', "<si/>" * 10 * _MILLION)),
    "PDF of operators": ("a.pdf", lambda: _pdf(b"0 0 m " * 10 * _MILLION)),
    "PDF of spaces": ("a.pdf", lambda: _pdf(b" " * 100 * _MILLION)),
}
