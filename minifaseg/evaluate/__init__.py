"""FA-Seg and its rivals on data sets: what is looked for, how well it is found."""
