"""`python -m podgraph.cli`: the command line, for when its script is not on the path."""

from podgraph.cli import main

main()
