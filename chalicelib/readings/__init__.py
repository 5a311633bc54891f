"""What is read of several features at once, for several flows. Reads only."""
