"""A link from a page to a file of the repository leads to that file on the project's site."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(\]\()(\.\./[^)\s#]+)((?:#[^)\s]*)?\))")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs for every page. A link that leads nowhere is left for mkdocs to warn of."""
    docs = Path(config["docs_dir"]).resolve()
    root = docs.parent
    here = (docs / page.file.src_uri).parent

    def lead_out(found: re.Match[str]) -> str:
        target = (here / found[2]).resolve()
        if target.is_relative_to(docs) or not target.is_relative_to(root) or not target.exists():
            return found[0]
        kind = "tree" if target.is_dir() else "blob"
        path = target.relative_to(root).as_posix()
        return f"{found[1]}{config['repo_url']}/{kind}/main/{path}{found[3]}"

    return _LINK.sub(lead_out, markdown)
