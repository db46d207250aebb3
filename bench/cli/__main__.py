"""``python -m bench.cli``: bench where its script is not on the path."""

from bench.cli import main

main()
