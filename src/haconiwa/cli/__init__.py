"""The command line. Its modules, and all that they load, come from one file where that exists."""

from __future__ import annotations

import gc

from haconiwa.image import MAIN, load, use_image

gc.disable()  # loading makes nothing but what stays; a command that works for long turns it on again
use_image()
load(MAIN)
