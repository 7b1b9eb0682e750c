"""``python -m chainrule``: the command line."""
import sys

from .models.command import main

sys.exit(main())
