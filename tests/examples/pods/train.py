"""Ops that declare the resources of their pods; a run in a process ignores them.

podgraph job execute -f train.py
podgraph job launch -f train.py --tags run=nightly -c train.yaml --wait
"""

import os

from podgraph import job, op


@op(
    pod_template={
        "metadata": {"annotations": {"example.com/team": "data"}},
        "spec": {
            "containers": [
                {
                    "name": "step",
                    "env": [{"name": "THREADS", "value": "2"}],
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                }
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
        },
    }
)
def load():
    return {"threads": os.environ.get("THREADS", "1"), "scratch": os.path.isdir("/scratch")}


@op
def train(context, found):
    return f"{context.tags.get('run', 'by hand')}: {found['threads']} thread(s), scratch {found['scratch']}"


@job(tags={"team": "data", "run": "by hand"})
def training():
    train(load())
