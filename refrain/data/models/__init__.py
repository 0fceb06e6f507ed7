"""Models: registered files and folders, and how steps and scripts come by them."""
