"""Making a root file system from one that is kept, and keeping the new ones; see `haconiwa.build.kept`."""

from __future__ import annotations

from haconiwa.build.copies import copy_tree
from haconiwa.build.kept import Kept, keep, lie_over, taken
from haconiwa.build.marker import Marker, State
from haconiwa.build.place import Place
from haconiwa.build.recipe import bootstrap_key, complete_key
from haconiwa.build.report import Report
from haconiwa.spec.build import BootstrapSpec
from haconiwa.spec.image import ImageSpec
from haconiwa.spec.model import ContainerSpec


class Reuse:
    """What is kept for one recipe, after its bootstrap and after its provisioning.

    Args:
        spec: The container.
        bootstrap: Its strategy and options.
        place: Of its root.
        report: Is told what happens.

    Raises:
        OSError: A file that the root is made from cannot be read.
    """

    def __init__(self, spec: ContainerSpec, bootstrap: BootstrapSpec, place: Place, report: Report) -> None:
        self._spec = spec
        self._bootstrap = bootstrap
        self._place = place
        self._report = report
        self._first = bootstrap_key(spec, bootstrap)
        self._complete = complete_key(spec, bootstrap)

    @property
    def keeps(self) -> bool:
        """Whether a copy of what is made will be kept."""
        return bool(self._first or self._complete)

    def take(self, state: State) -> Marker | None:
        """Fill the partial root, and say what is now known about it; None when nothing is kept.

        Args:
            state: What bootstrapping alone would come to.
        """
        keys = [(self._first, state)]
        if state is State.BOOTSTRAPPED:
            keys.insert(0, (self._complete, State.COMPLETE))
        for key, found in keys:
            with taken(key) as kept:
                if kept:
                    return self._take(kept, found)
        return None

    def _take(self, kept: Kept, state: State) -> Marker:
        self._report.step(f"Creating rootfs of {self._spec.name} from what was made for {kept.name}...")
        if state is State.COMPLETE and self._spec.rootfs and self._spec.rootfs.overlay:
            lie_over(kept, self._place)
        else:
            copy_tree(kept.root, self._place.partial_root, self._report, kept.size)
        steps = kept.steps if state is State.COMPLETE else {}
        return Marker(state=state, strategy=kept.strategy, image=kept.image, steps=steps)

    def keep_bootstrapped(self, root: str, image: ImageSpec | None) -> None:
        """Keep a copy of what the bootstrap has made."""
        if self._first:
            kept = Kept(folder="", name=self._spec.name, strategy=self._bootstrap.strategy, image=image)
            keep(self._first, kept, root, self._report)

    def keep_complete(self, marker: Marker) -> None:
        """Keep a copy of the root, which is complete."""
        if self._complete and self._complete != self._first:
            kept = Kept(
                folder="", name=self._spec.name, strategy=marker.strategy, image=marker.image, steps=marker.steps
            )
            keep(self._complete, kept, self._place.root, self._report)
