"""A user of this machine that is there for one test only: the accounts of the machine are not changed.

Each of its commands runs in a mount namespace in which /etc/passwd, /etc/subuid and /etc/subgid are copies.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.program import Program, source_for_everybody
from tests.support.rootfs import make_busybox_root

_PYTHON = "/usr/bin/python3"  # that everybody can read; the one that runs the tests may be below root's home
_MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from haconiwa.cli.main import main; main()"
_LAUNCHER = """\
#!/bin/sh
exec unshare --mount --propagation slave /bin/sh -ec '
for name in passwd subuid subgid; do mount --bind {base}/$name /etc/$name; done
[ ! -e {base}/before ] || . {base}/before
cd {home}
exec setpriv --reuid={uid} --regid={uid} --{groups} env -i HOME={home} XDG_RUNTIME_DIR={run} TERM=xterm \\
PATH=/usr/bin:/bin HACONIWA_CONFIG=/nonexistent $(cat {base}/environ) "$@"
' sh {program} "$@"
"""


class User:
    """An ordinary user with a home and a runtime folder.

    Args:
        base: Host path of a new folder, which every user can reach.
        uid: Also its group.
        first_id: The first of its subordinate ids; 0 for none.
        ids: How many those are.
        groups: Its supplementary groups.

    Attributes:
        haconiwa: The command, as this user.
        run: Any program as this user: ``user.run("/bin/id")``.
        home: Its home.
        runtime: Its XDG_RUNTIME_DIR.
    """

    def __init__(
        self, base: Path, uid: int, *, first_id: int = 0, ids: int = 65536, groups: tuple[int, ...] = ()
    ) -> None:
        self.base, self.uid, self.first_id, self.ids = base, uid, first_id, ids
        self.home, self.runtime = base / "home", base / "runtime"
        for folder, mode in ((base, 0o755), (self.home, 0o755), (self.runtime, 0o700)):
            folder.mkdir(mode)
            folder.chmod(mode)
        for folder in (self.home, self.runtime):
            os.chown(folder, uid, uid)
        accounts = Path("/etc/passwd").read_text(encoding="utf-8")
        (base / "passwd").write_text(f"{accounts}{self.name}:x:{uid}:{uid}::{self.home}:/bin/sh\n", encoding="utf-8")
        for name in ("subuid", "subgid"):
            (base / name).write_text(f"{self.name}:{first_id}:{ids}\n" if first_id else "", encoding="utf-8")
        self._groups = f"groups={','.join(map(str, groups))}" if groups else "clear-groups"
        self.set_environ()
        source = source_for_everybody(str(base.parent))
        self.haconiwa = self._program("haconiwa", f"{_PYTHON} -I -B -c '{_MAIN}' {source}")
        self.run = self._program("run", "")

    @property
    def name(self) -> str:
        """Its name in passwd."""
        return f"user{self.uid}"

    def _program(self, name: str, program: str) -> Program:
        path = self.base / name
        text = _LAUNCHER.format(
            base=self.base, home=self.home, run=self.runtime, uid=self.uid, groups=self._groups, program=program
        )
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return Program(str(path), {})

    def set_environ(self, **variables: str) -> None:
        """Set variables of its commands, besides the usual ones."""
        text = " ".join(f"{key}={value}" for key, value in variables.items())
        (self.base / "environ").write_text(text, encoding="utf-8")

    def before(self, script: str) -> None:
        """What root does in the mount namespace of each command, before."""
        (self.base / "before").write_text(script, encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        """A file of its own in its home."""
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        os.chown(path, self.uid, self.uid)
        return path

    def busybox_root(self, owner: int | None = None) -> Path:
        """A root file system of busybox in its home, of this user unless another owner is given."""
        root = Path(make_busybox_root(str(self.home / "root")))
        for path in (root, *root.rglob("*")):
            os.chown(path, *(2 * [self.uid if owner is None else owner]), follow_symlinks=False)
        return root

    def owns(self, uid: int) -> bool:
        """Whether an id of the host's is one of its own."""
        return uid == self.uid or (bool(self.first_id) and self.first_id <= uid < self.first_id + self.ids)

    def processes(self) -> list[tuple[int, str]]:
        """The pid and the command of what runs with one of its ids."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                status = (folder / "status").read_text(encoding="utf-8", errors="replace")
                uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
                state = next(line for line in status.splitlines() if line.startswith("State:"))
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if any(self.owns(int(uid)) for uid in uids) and "zombie" not in state:
                found.append((int(folder.name), command.strip()))
        return found

    def runtime_files(self) -> list[str]:
        """What is left of its containers."""
        return sorted(str(path) for path in self.runtime.rglob("*") if path != self.runtime / "haconiwa")
