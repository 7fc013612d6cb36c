"""Write the files generated from crds/, or check with --check that they are up to date. Standard library only.

The generated parts are the chart's copy of the CRDs and the fields that the CRD of JobDefinition shares with Job.
Each field is thus defined once, and each file of crds/ is complete.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "charts" / "podgraph" / "templates" / "crds.yaml"
HEAD = (
    "{{- /* Generated from crds/ by `make chart`. Kept on uninstall: deleting a CRD deletes all its objects. */ -}}\n"
    "{{- if .Values.crds.install }}\n"
)

CRDS = ROOT / "crds"
DEFINITION = CRDS / "jobdefinitions.podgraph.dev.yaml"
_SHARED = re.compile(r"(?<= {14}# From here on )([^\n]*\n)(.*?)(?= {14}# To here)", re.DOTALL)
_FIXED = (
    "rule: self == oldSelf, message: spec cannot be changed once the Job exists; "
    "delete the Job or create one with another name"
)


def definition() -> str:
    """Return the CRD of JobDefinition with the fields of a Job, without the rules that make them immutable."""
    fields = _shared(CRDS / "jobs.podgraph.dev.yaml")[2]
    fields = fields.replace(f" x-kubernetes-validations: [{{{_FIXED}}}],", "")
    fields = re.sub(rf" *x-kubernetes-validations: \[{{{re.escape(_FIXED)}}}\]\n", "", fields)
    rule, message = _FIXED.split(", ", 1)
    fields = re.sub(rf" *- {re.escape(rule)}\n *{re.escape(message)}\n", "", fields)
    if "oldSelf" in fields:
        raise SystemExit(
            "error: crds/jobs.podgraph.dev.yaml: a shared field compares with oldSelf in an unexpected form"
        )
    mine = _shared(DEFINITION)
    text = DEFINITION.read_text()
    return text[: mine.start(2)] + fields + text[mine.end(2) :]


def _shared(path: Path) -> re.Match[str]:
    found = _SHARED.search(path.read_text())
    if found is None:
        raise SystemExit(f"error: crds/{path.name}: the comments around the shared fields are missing")
    return found


def rendered() -> str:
    """Return the template: each CRD unchanged, with the annotation that makes Helm keep it."""
    parts = []
    for path in sorted(CRDS.glob("*.yaml")):
        text = (definition() if path == DEFINITION else path.read_text()).replace("{{", '{{ "{{" }}')
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        parts.append(text.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1))
    return HEAD + "---\n".join(f"{part}\n" for part in parts) + "{{- end }}\n"


def main() -> int:
    """Write the files, or check them."""
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
