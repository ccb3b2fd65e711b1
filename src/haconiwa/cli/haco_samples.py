"""What ``haconiwa new`` writes for each bootstrap strategy; comments as in `haco_template`."""

from __future__ import annotations


class Sample:
    """What is written for one strategy.

    Attributes:
        bootstrap: Lines of the bootstrap block after the strategy.
        provision: A script for the provision block; empty where nothing is needed or known.
        init: The first process.
    """

    def __init__(self, bootstrap: str, provision: str = "", init: str = "/bin/sh") -> None:
        self.bootstrap = bootstrap
        self.provision = provision
        self.init = init


SAMPLES = {
    "lxc": Sample(
        """\
b.os_type = "alpine"  # any LXC template: lxc-create -t
# Arguments for the template, and the name that lxc-create works under.
#b.template_options = ["--release", "v3.20"]
#b.project_name = "garden"
# A copy is kept for the next container of the same recipe.
#b.cache = False
""",
        "apk add --update bash",
        "/bin/bash",
    ),
    "debootstrap": Sample(
        """\
b.debian_release = "bookworm"
b.variant = "minbase"
# The faster program, where it is installed.
#b.tool = "mmdebstrap"
# Otherwise the host's architecture, "main", the host's own mirror, and its keyring for that release.
#b.arch = "amd64"
#b.components = ["main", "contrib"]
#b.mirror_url = "http://mirror.example.org/debian"
#b.keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
# A copy is kept for the next container of the same recipe.
#b.cache = False
""",
        "apt-get update\napt-get install --yes --no-install-recommends procps",
        "/bin/bash",
    ),
    "git": Sample(
        """\
b.git_url = "https://git.example.org/rootfs.git"  # or a path on this machine
# A branch or tag, how much of the history, and whether submodules come too.
#b.git_branch = "main"
#b.git_depth = 1
#b.git_submodules = True
# Further options of "git clone".
#b.git_options = ["--single-branch"]
# Keep a copy for the next container of the same recipe.
#b.cache = True
"""
    ),
    "tarball": Sample(
        """\
b.archive_path = "rootfs.tar.gz"  # .tar, .gz, .bz2, .xz or .zst; beside this file, an absolute path, or a url
# What it must have; needed for a url of http without s.
#b.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
# The most that it may hold, and how long unpacking may take.
#b.max_size = "20G"
#b.timeout_sec = 600
# Further options of tar, and device nodes, which are left out otherwise.
#b.tar_options = ["--strip-components=1"]
#b.allow_devices = True
# Keep a copy for the next container of the same recipe.
#b.cache = True
"""
    ),
    "oci": Sample(
        """\
b.image = "docker://registry.example.org/name:tag"  # or oci:DIRECTORY:TAG, oci-archive:FILE, docker-archive:FILE
# Without init_command, environ, workdir and uid above, the container has those of the image.
# Another architecture than the host's, and a registry by plain HTTP.
#b.arch = "arm64"
#b.tls_verify = False
# Keep a copy for the next container of the same recipe.
#b.cache = True
"""
    ),
    "shell": Sample(
        '''\
# One script for /bin/sh -xe; $ROOTFS, also its current directory, is the empty directory to fill.
b.code = """
    mkdir bin dev etc proc root sys tmp
    cp /bin/busybox bin/
    set +x  # some hundred links need not be shown
    for name in $(bin/busybox --list); do
        [ -e "bin/$name" ] || ln -s busybox "bin/$name"
    done
"""
'''
    ),
    "python": Sample(
        """\
# A function, or code as text in b.code; it fills an empty directory.
@b.function
def fill(directory: str) -> None:
    import os
    import shutil

    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        os.mkdir(f"{directory}/{name}")
    shutil.copy("/bin/busybox", f"{directory}/bin/sh")
"""
    ),
    "host": Sample(
        """\
# A private skeleton over this machine's own /usr, which is shown read-only: made in no time.
# Show these directories in place of /usr, or some more.
#b.paths = ["/usr"]
#b.extra = ["/srv"]
""",
        init="/bin/bash",
    ),
}
"""By the canonical name of the strategy."""
