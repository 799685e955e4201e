"""Writes `llms.txt`, the pages of the site with a sentence each, when mkdocs builds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_SENTENCE = re.compile(r"^(?=[\w`*\[])(.+?[.:])(?:\s|$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def on_env(_env: Any, config: Any, files: Any) -> None:
    """Writes the file when all pages have been read."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    for file in files.documentation_pages():
        page = file.page
        if page is None or page.markdown is None:
            continue
        found = _SENTENCE.search(page.markdown)
        about = _LINK.sub(r"\1", " ".join(found[1].split())) if found else ""
        lines.append(f"- [{page.title}]({file.url}): {about}".rstrip(": "))
    Path(config.site_dir).mkdir(parents=True, exist_ok=True)
    Path(config.site_dir, "llms.txt").write_text("\n".join(lines) + "\n")
