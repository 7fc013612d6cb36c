"""Write the chart's copy of the CRDs from crds/, or with --check say whether it is fresh. Standard library only."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "charts" / "podgraph" / "templates" / "crds.yaml"
HEAD = "{{- /* Made from crds/ by `make chart`; change it there. Kept on uninstall, since with it go all Jobs. */ -}}\n"


def rendered() -> str:
    """Return the template: each CRD as it stands, with the annotation that makes Helm keep it."""
    parts = []
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        text = path.read_text().replace("{{", '{{ "{{" }}')
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        parts.append(text.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1))
    return HEAD + "---\n".join(f"{part}\n" for part in parts)


def main() -> int:
    """Write or check."""
    if "--check" not in sys.argv:
        TARGET.write_text(rendered())
        return 0
    if TARGET.exists() and TARGET.read_text() == rendered():
        return 0
    sys.stderr.write("error: charts/podgraph/templates/crds.yaml is stale; run: make chart\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
