"""Where groups are carried out: in this process, on this machine, by Slurm, by Ray."""
