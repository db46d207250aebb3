"""Where groups are carried out: in this process, or in processes of this machine."""
