"""What flows between steps: datasets, data references, pipeline data, output configurations and parameters."""
