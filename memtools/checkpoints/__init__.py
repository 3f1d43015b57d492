"""The released models: archives of hundreds of gigabytes as they stream by; single models as ours."""
