"""``python -m chainrule``: the command line."""
import sys

from .models.cli import main

sys.exit(main())
