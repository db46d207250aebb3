"""Where cells run. An executor carries out one job at a time and says how it ended."""
