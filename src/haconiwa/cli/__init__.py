"""The command line. Its modules, and all that they load, come from one file where that exists.

Not those of hacopy: in that file is no docstring, and its users ask for help.
"""

from __future__ import annotations

import gc
import os
import sys

from haconiwa.image import MAIN, load, use_image

if os.path.basename(sys.argv[0]) != "hacopy":
    gc.disable()  # loading makes nothing but what stays; a command that works for long turns it on again
    use_image()
    load(MAIN)
