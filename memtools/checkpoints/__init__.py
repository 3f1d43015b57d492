"""The released models: archives of hundreds of gigabytes as they stream by; one model as ours."""
