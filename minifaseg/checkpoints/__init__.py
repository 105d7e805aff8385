"""Files of weights: what lies where in them, and the networks made of it."""
