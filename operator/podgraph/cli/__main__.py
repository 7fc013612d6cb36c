"""`python -m podgraph.cli`: the command line where its script is not on the path."""

from podgraph.cli import main

main()
