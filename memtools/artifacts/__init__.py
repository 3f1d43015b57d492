"""What is published, and getting it whole: the registry, downloads, joining, the cache."""
