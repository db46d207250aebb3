"""One `bench run`: from the request to cells that exist."""
