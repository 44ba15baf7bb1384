"""Model files: published ones (read), checkpoints (read, written), exports (read, written)."""
