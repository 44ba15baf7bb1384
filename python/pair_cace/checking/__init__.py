"""What a data set is, and what is probably wrong with it, before and after a training."""
