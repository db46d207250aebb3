"""From what is asked for to the trainings and cells that must exist."""
