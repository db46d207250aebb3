"""Learners as stored results have them, answering one's own images: `bench.load_learner`."""
