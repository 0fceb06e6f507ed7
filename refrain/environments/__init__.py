"""What a step's process runs in: its interpreter, packages and variables."""
