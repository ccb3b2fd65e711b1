"""``oci``: an image is the root file system, from a registry or from a file, fetched by skopeo.

The image's command, environment, user and working directory become defaults of the container.
"""

from __future__ import annotations

import os

from haconiwa.build.image import Layout, image_of
from haconiwa.build.job import Job
from haconiwa.build.strategies.tarball import archive_of, unpack_measured
from haconiwa.build.unfinished import unfinished
from haconiwa.host.paths import cache_dir
from haconiwa.host.programs import run_program
from haconiwa.host.sizes import show_size
from haconiwa.host.tools import find_program
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.record import replace

LABEL = "skopeo"

_POLICY = "/etc/containers/policy.json"


def blobs_dir() -> str:
    """Where the layers of images are kept, each under its digest."""
    return os.path.join(cache_dir(), "blobs")


def arguments(job: Job, layout: str) -> list[str]:
    """The command line after the program."""
    line = ["--override-os=linux", f"--tmpdir={job.scratch}"]
    if arch := job.text("arch", ""):
        line.append(f"--override-arch={arch}")
    if not os.path.exists(_POLICY):  # says whose signatures are asked for; without the file skopeo refuses everything
        line.append("--insecure-policy")
    line += ["copy", f"--dest-shared-blob-dir={blobs_dir()}"]
    if job.bootstrap.options.get("tls_verify") is False:
        line.append("--src-tls-verify=false")
    return [*line, job.text("image"), f"oci:{layout}:image"]


def bootstrap(job: Job) -> ImageSpec:
    """Fetch the image and unpack its layers over each other."""
    program = find_program("skopeo")
    with unfinished(blobs_dir(), "image") as folder:  # skopeo renames from there: it must be the same file system
        layout_path = os.path.join(folder, "image")
        run_program([program, *arguments(job, layout_path)], job.line)
        layout = Layout(layout_path, blobs_dir())
    for number, layer in enumerate(layout.layers, 1):
        job.line(f"layer {number} of {len(layout.layers)}: {layer.digest[:19]}, {show_size(layer.size)}")
        fd = layout.open_layer(layer)
        os.utime(fd)  # its age is that of its last use
        try:
            unpack_measured(job, replace(archive_of(job, fd, layer.digest), whiteouts=True))
        finally:
            os.close(fd)
    return image_of(layout.config)
