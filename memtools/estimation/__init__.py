"""From runs to estimates: exact counts, then memorization, influence and their errors."""
