"""A parallel run: a dispatcher hands mini-batches to worker processes, which keep an entry script loaded."""
