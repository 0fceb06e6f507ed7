"""What happened: run records, metrics, artifacts and where the code came from."""
