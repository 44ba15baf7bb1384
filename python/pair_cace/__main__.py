"""``python -m pair_cace`` is the command ``cace``."""

from .cli import main

main()
