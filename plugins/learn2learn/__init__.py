"""learn2learn's own algorithms; see requirements.txt."""
