"""The built-in learners, one file each, grouped by family. Installed as `bench_plugins`."""
