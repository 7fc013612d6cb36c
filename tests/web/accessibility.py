"""Whether all can use the page: axe-core, run in the page that is open."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

__all__ = ["barriers"]

_AXE = Path(__file__).parents[2] / "operator" / "web" / "node_modules" / "axe-core" / "axe.min.js"
_LEVELS = ("serious", "critical")


def barriers(page: Page) -> list[str]:
    """Return what axe finds serious or critical: the rule, and the elements that break it."""
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}: {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        if rule["impact"] in _LEVELS
        for node in rule["nodes"]
    ]
