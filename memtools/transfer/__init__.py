"""Bytes from a server into one file, surviving everything that goes wrong on the way."""
