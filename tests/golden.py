"""The manifests that the operator creates first for each Job in tests/examples, for `tests/examples/golden/`.

A golden file shows in the diff of a commit what the change does to pods. It holds what the planner asks for until the
first steps have pods: the ConfigMap with the Job's code or definition, the Secret, the resolve pod, and step pods.
`make golden` rewrites the files; `tests/unit/test_golden.py` compares them. The key, the uids and the time are fixed,
so the keys in the Secrets open nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from api.fake.patching import merge
from builders import pod
from podgraph.cli.files import graph_of_file
from podgraph.planning.actions import Actions
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.definition_snapshot import DefinitionSnapshot
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.pods.types import Pod
from podgraph.protocol.graph_codec import inflate, pack

__all__ = ["EXAMPLES", "FOLDER", "golden_files"]

EXAMPLES = Path(__file__).parent / "examples"
FOLDER = EXAMPLES / "golden"
SETTINGS = Settings("podgraph/step:dev", "podgraph-runtime-golden", keys=Keys(b"golden key, for tests alone"))
NOW = 1_800_000_000.0
MOST_PASSES = 20
Object = dict[str, Any]


def golden_files() -> dict[str, str]:
    """Return the text of each golden file by its name."""
    found: dict[str, str] = {}
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        if FOLDER in path.parents:
            continue
        documents = [as_stored(d) for d in yaml.safe_load_all(path.read_text()) if d and "kind" in d]
        definitions = {d["metadata"]["name"]: d for d in documents if d["kind"] == "JobDefinition"}
        for job in (d for d in documents if d["kind"] == "Job"):
            name = job["metadata"]["name"]
            assert f"{name}.yaml" not in found, f"two examples have a Job named {name}"
            source = path.relative_to(EXAMPLES)
            head = f"# The operator creates this first for Job {name} of {source} (see tests/golden.py).\n"
            found[f"{name}.yaml"] = head + as_text(FirstPasses(path, job, definitions).manifests())
    return found


def as_stored(manifest: Object) -> Object:
    """Return a manifest as the API server would give it, with a uid that follows from its name."""
    meta = {"namespace": "default", "generation": 1, **manifest["metadata"]}
    return {**manifest, "metadata": {**meta, "uid": f"uid-of-{meta['name']}"}}


class FirstPasses:
    """The operator's first passes over one Job: everything that the planner asks for is granted at once."""

    def __init__(self, path: Path, job: Object, definitions: dict[str, Object]) -> None:
        self._path, self._job, self._definitions = path, job, definitions
        self._run = Run(job, SETTINGS)
        self._has_secret = False

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifests in the order of their creation."""
        run = self._run
        for _ in range(MOST_PASSES):
            if run.defined is not None and run.defined.frozen is None:
                run.defined.seen = self._definition(run.defined.name)
            actions = run.advance({}, (), NOW)
            yield from self._granted(actions)
            if actions.creates and run.steps is not None:
                return
            assert not run.finished, f"{self._path}: the Job is refused: {actions.status['conditions']}"
        raise AssertionError(f"{self._path}: no step has a pod after {MOST_PASSES} passes")

    def _granted(self, actions: Actions) -> Iterator[Manifest]:
        run = self._run
        if actions.freeze:
            assert run.defined is not None
            assert run.defined.seen is not None
            seen = run.defined.seen
            frozen = DefinitionSnapshot.of(seen, seen.object["spec"].get("code", {}).get("source"), run.job_spec)
            yield readable(frozen.config_map(run.ref))
            run.freeze(frozen)
        if actions.copy_code:
            yield run.code_map(run.code_source()[0])
            run.code_copied()
        if actions.read_jobs:
            run.jobs_found({name: self._parent(name) for name in actions.read_jobs})
        run.pods_checked(actions.check_pods)
        if not actions.creates:
            return
        secret = run.key_secret()
        if secret is not None and not self._has_secret:
            yield secret
            self._has_secret = True
        yield from actions.creates
        if run.steps is None:  # that was the resolve pod; its log gives the graph
            run.graph_from_log(pack(graph_of_file(self._path, self._job["metadata"]["name"])))

    def _definition(self, name: str) -> DefinitionRun:
        definition = self._definitions[name]
        seen = DefinitionRun(definition, SETTINGS)
        seen.graph_from_log(pack(graph_of_file(self._path, name)))
        for _ in range(MOST_PASSES):
            actions = seen.advance({}, (), NOW)
            if seen.finished:
                return seen
            if actions.copy_code:
                seen.code_copied()
        raise AssertionError(f"{self._path}: JobDefinition {name} is not ready after {MOST_PASSES} passes")

    def _parent(self, name: str) -> Object:
        """Return the Job of the file beside this one whose first step succeeded and whose second failed."""
        parent = as_stored(yaml.safe_load((self._path.parent / "parent.yaml").read_text()))
        assert parent["metadata"]["name"] == name
        run, status, pods = Run(parent, SETTINGS), dict[str, Any](), dict[str, Pod]()
        for code in (0, 1, 1):
            actions = run.advance(pods, pods, NOW)
            run.pods_checked(actions.check_pods)
            actions = actions if actions.creates or run.finished else run.advance(pods, pods, NOW)
            for made in actions.creates:
                step = made["metadata"]["name"]
                run.created(step, f"uid-of-{step}")
                pods[step] = pod(step).created(NOW).exited(code, "" if code else "rows=7").obj()
            status = merge(status, {**actions.status, **run.patch(NOW)})
        assert run.finished
        return {**parent, "status": status}


def readable(snapshot: Manifest) -> Manifest:
    """Return the ConfigMap of a definition with its text inflated: how small zlib makes it is not ours to say."""
    text = inflate(snapshot["binaryData"]["definition"])
    data = {k: "(packed)" if k == "graph" and v else v for k, v in yaml.safe_load(text).items()}
    return {**snapshot, "binaryData": {"definition": data}}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_text(manifests: Iterator[Manifest]) -> str:
    """Return manifests as YAML."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write the golden files, and remove those of Jobs that no longer exist."""
    FOLDER.mkdir(exist_ok=True)
    texts = golden_files()
    for name, text in texts.items():
        (FOLDER / name).write_text(text)
    for path in FOLDER.glob("*.yaml"):
        if path.name not in texts:
            path.unlink()


if __name__ == "__main__":
    main()
