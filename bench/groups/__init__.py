"""Groups: what executors schedule. A training with its tests and audit, or its timings."""
