"""From files on disk to the edge lists that the model reads."""
