"""What a step is: its definition as plain values, and the classes by which users declare it."""
