"""How the tests state an error: its class and the whole sentence."""
import re

import pytest


def refused(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")
