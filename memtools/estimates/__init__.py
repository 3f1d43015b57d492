"""Where both roads meet: estimates, pairs and scores, their files, and what these must mean."""
