"""What one process does: a training, its audits, a meta-test, or a timing."""
