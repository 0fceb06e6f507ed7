"""What runs inside a step's process: the standard library only, any Python from 3.8 on."""
