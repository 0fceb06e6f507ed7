"""File datasets: a lazily evaluated choice of files."""
