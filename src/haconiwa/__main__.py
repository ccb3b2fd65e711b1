"""``python3 -m haconiwa``: the same as the command."""

from __future__ import annotations

from haconiwa.cli.main import main

if __name__ == "__main__":
    main()
