"""Imported once by the fork server: what every worker would otherwise import anew, for seconds."""

import torch._dynamo  # noqa: F401 - the first optimizer of a process imports it

import bench.processes.worker
import bench.worker.perform  # noqa: F401
