"""Where cells run. An executor carries out one assignment at a time and says how it ended."""
