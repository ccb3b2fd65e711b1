"""When a container that has ended is started again, and after how long."""

from __future__ import annotations

from haconiwa.spec.supervision import RestartSpec

_LONGEST_S = 60.0
_STABLE_S = 60.0


class Restarts:
    """Counts the starts of one container.

    Args:
        spec: What the file says; None for never, unless a health check asks for it.
    """

    def __init__(self, spec: RestartSpec | None) -> None:
        self._spec = spec or RestartSpec()
        self._in_a_row = 0

    def delay_s(self, status: int, ran_s: float, *, asked: bool) -> float | None:
        """How long to wait before the next start; None for no more.

        Args:
            status: How the container has ended.
            ran_s: How long it ran; after a minute or more the counting begins anew.
            asked: It was ended in order to be started again.
        """
        spec = self._spec
        if not (asked or spec.policy == "always" or (spec.policy == "on-failure" and status != 0)):
            return None
        if ran_s >= _STABLE_S:
            self._in_a_row = 0
        if spec.max_retries is not None and self._in_a_row >= spec.max_retries:
            return None
        self._in_a_row += 1
        return min(_LONGEST_S, spec.backoff_s * 2.0 ** min(self._in_a_row - 1, 16))
