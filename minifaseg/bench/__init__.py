"""Speed, memory and distance from the limit: this package beside the plain formulation and rivals.

Everything is measured in one run on one machine.
"""
