"""bench compares meta-learning families on one episodic protocol."""

__version__ = "0.1.0"
