"""Pictures of estimates, and a page to look through."""
