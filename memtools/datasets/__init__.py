"""What a data set of the user's says of its examples: names, labels, pixels, positions."""
