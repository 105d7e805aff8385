"""The methods FA-Seg is compared with, one file each, on the same networks and the same captured attention."""
