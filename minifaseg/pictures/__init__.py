"""Files of pictures: which ones are some, and upright RGB made of them."""
