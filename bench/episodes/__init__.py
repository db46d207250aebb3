"""Which examples form an episode: random words, pools, draws, frozen banks."""
