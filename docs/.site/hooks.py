"""What the site needs beyond MkDocs: what is kept beside docs/, and the promise that nothing is loaded from elsewhere.

Pages link to files of the repository as they lie there, so that a link works in an editor, at a repository's host, and
on the site, where a file of docs/ keeps its path and any other one is found under source/.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

logger = logging.getLogger("mkdocs.hooks.site")

ROOT = Path(__file__).parents[2]
DOCS, SOURCE = "docs/", "source/"
_LINK = re.compile(r"\[([^\]\[]*)\]\(([^()\s]+)\)")
_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside of docs/ that a page links to, or that a page so added does."""
    waiting = [f"{DOCS}{file.src_uri}" for file in files.documentation_pages()]
    while waiting:
        for linked in _linked(waiting.pop()):
            uri = _uri(linked)
            if uri.startswith(SOURCE) and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / linked)))
                if linked.endswith(".md"):
                    waiting.append(linked)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links between files lead from page to page. A folder has no page, so there only the words stay."""
    own = page.file.src_uri
    here = own.removeprefix(SOURCE) if own.startswith(SOURCE) else f"{DOCS}{own}"

    def moved(found: re.Match[str]) -> str:
        words, link = found.groups()
        path, mark, anchor = link.partition("#")
        if "://" in link or not path:
            return found[0]
        target = _target(here, path)
        if (ROOT / target).is_dir():
            return words
        return f"[{words}]({posixpath.relpath(_uri(target), posixpath.dirname(own))}{mark}{anchor})"

    return _LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warn, which ends a strict build, where a page loads anything from elsewhere."""
    for address in _LOADED.findall(output):
        logger.warning("%s loads %s", page.file.src_uri, address)
    return output


def _linked(page: str) -> Iterator[str]:
    for _, link in _LINK.findall((ROOT / page).read_text()):
        path = link.partition("#")[0]
        if path and "://" not in path and (ROOT / (target := _target(page, path))).is_file():
            yield target


def _target(page: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def _uri(target: str) -> str:
    return target.removeprefix(DOCS) if target.startswith(DOCS) else f"{SOURCE}{target}"
