"""The methods that FA-Seg is compared with, one file each.

All run on the same networks and the same captured attention.
"""
