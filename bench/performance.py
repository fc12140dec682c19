"""docs/performance.md: whatever measures writes a section of its own, and leaves the others as they are."""

import re
from pathlib import Path

PERFORMANCE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def write_section(heading: str, text: str, path: Path = PERFORMANCE) -> None:
    """Put `text` under `## heading`, at the end if there is none yet. An empty heading is the page's beginning."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    head, *sections = re.split(r"^(?=## )", page, flags=re.M)
    if not heading:
        head = text
    else:
        sections = [section for section in sections if not section.startswith(f"## {heading}\n")]
        sections.append(f"## {heading}\n\n{text}")
    parts = (part.strip() for part in (head, *sections))
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
