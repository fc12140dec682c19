"""The page on more than one machine: replicas of the page and of the model behind one address, on Ray Serve."""
