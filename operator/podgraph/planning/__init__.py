"""What to do next, as pure functions of a Job, its pods and the time: no I/O and no clock in here."""

from podgraph.planning.model.patterns import use_linear_patterns

use_linear_patterns()  # whoever plans does so for all who write Jobs
