"""Write what is made from crds/, or with --check say whether it is fresh. Standard library only.

It is the chart's copy of the CRDs, and of a JobDefinition's CRD the fields that are a Job's, so that a field is written
down once while each file of crds/ is whole.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "charts" / "podgraph" / "templates" / "crds.yaml"
HEAD = (
    "{{- /* Made from crds/ by `make chart`; change it there. Kept on uninstall, since with it go all Jobs. */ -}}\n"
    "{{- if .Values.crds.install }}\n"
)

CRDS = ROOT / "crds"
DEFINITION = CRDS / "jobdefinitions.podgraph.dev.yaml"
_SHARED = re.compile(r"(?<= {14}# From here on )([^\n]*\n)(.*?)(?= {14}# To here)", re.DOTALL)
_FIXED = (
    "rule: self == oldSelf, message: spec cannot be changed once the job exists; "
    "delete the job or apply one of another name"
)


def definition() -> str:
    """Return the CRD of JobDefinitions with the fields of a Job, but that they may be changed."""
    fields = _shared(CRDS / "jobs.podgraph.dev.yaml")[2]
    fields = fields.replace(f" x-kubernetes-validations: [{{{_FIXED}}}],", "")
    fields = re.sub(rf" *x-kubernetes-validations: \[{{{re.escape(_FIXED)}}}\]\n", "", fields)
    rule, message = _FIXED.split(", ", 1)
    fields = re.sub(rf" *- {re.escape(rule)}\n *{re.escape(message)}\n", "", fields)
    if "oldSelf" in fields:
        raise SystemExit(
            "error: crds/jobs.podgraph.dev.yaml: a shared field holds against its old value in another form"
        )
    mine = _shared(DEFINITION)
    text = DEFINITION.read_text()
    return text[: mine.start(2)] + fields + text[mine.end(2) :]


def _shared(path: Path) -> re.Match[str]:
    found = _SHARED.search(path.read_text())
    if found is None:
        raise SystemExit(f"error: crds/{path.name}: the comments around the shared fields are gone")
    return found


def rendered() -> str:
    """Return the template: each CRD as it stands, with the annotation that makes Helm keep it."""
    parts = []
    for path in sorted(CRDS.glob("*.yaml")):
        text = (definition() if path == DEFINITION else path.read_text()).replace("{{", '{{ "{{" }}')
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        parts.append(text.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1))
    return HEAD + "---\n".join(f"{part}\n" for part in parts) + "{{- end }}\n"


def main() -> int:
    """Write or check."""
    made = {DEFINITION: definition(), TARGET: rendered()}
    if "--check" not in sys.argv:
        for path, text in made.items():
            path.write_text(text)
        return 0
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        sys.stderr.write(f"error: {path.relative_to(ROOT)} is stale; run: make chart\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
