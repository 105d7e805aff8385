"""How fast, how large, how far from the limit: this package beside the plain formulation and its rivals, in one run on one machine."""
