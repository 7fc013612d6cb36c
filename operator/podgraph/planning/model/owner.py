"""Whose an object in the cluster is."""

from __future__ import annotations

import msgspec

__all__ = ["Owner"]


class Owner(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """The resource of ours that controls an object: a Job, JobDefinition, JobSchedule or JobSensor."""

    namespace: str
    kind: str
    uid: str
