"""The examples of a user's data set: names, labels, pixels, positions."""
