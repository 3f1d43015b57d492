"""The released models: archives of hundreds of gigabytes, read as they stream by."""
