"""The built-in suites: one TOML file each, in this folder. `bench.suites.schema` reads them."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""What the entry point ``bench.suites`` of a package names: a folder of suites, or one file."""
