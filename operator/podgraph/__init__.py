"""podgraph: jobs made of ops, each step its own Kubernetes pod.

>>> from podgraph import job, op
"""

from podgraph.definition.decorators import GraphDefinition, JobDefinition, OpDefinition, graph, job, op
from podgraph.definition.errors import DefinitionError
from podgraph.definition.values import In, Nothing, Out, Output

__version__ = "0.1.0"

__all__ = [
    "DefinitionError",
    "GraphDefinition",
    "In",
    "JobDefinition",
    "Nothing",
    "OpDefinition",
    "Out",
    "Output",
    "graph",
    "job",
    "op",
]
