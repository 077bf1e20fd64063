"""A hook of mkdocs: links to files that are not pages lead to `repo_url`, or become plain names where none is set."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from mkdocs.plugins import event_priority

LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


@event_priority(-100)  # after include-markdown, which brings in pages that stand elsewhere in the repository
def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the page with such links replaced."""

    def replaced(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[2]))
        if path.startswith("docs/"):
            return link[0]
        if config.repo_url:
            return f"[{link[1]}]({config.repo_url.rstrip('/')}/blob/main/{path}{link[3] or ''})"
        return f"`{path}`" if link[1].strip("`/") == path else f"{link[1]} `{path}`"

    return LINK.sub(replaced, markdown)
