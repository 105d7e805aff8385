"""Picture files: which files are pictures, and how they become upright RGB."""
