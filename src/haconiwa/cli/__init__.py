"""The command line. Its modules, and all that they load, come from one file where that exists."""

from __future__ import annotations

from haconiwa.image import use_image

use_image()
