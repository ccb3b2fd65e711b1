from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from haconiwa.errors import ConfigError, ContainerError, HaconiwaError, HookError, Problem, Where
from haconiwa.lifecycle.ask import _refusal, ask

PLACE = Where("/srv/web.haco", 7, (("/srv/lib.py", 3),))


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            ContainerError("cannot set it", why="EINVAL", where=PLACE, hint="write less", subject="web"),
            ["error: web: refused: cannot set it: EINVAL", "  at: /srv/web.haco:7", "  hint: write less"],
        ),
        (ContainerError("is not running"), ["error: web: refused: is not running"]),
        (ConfigError([Problem("one"), Problem("two")]), ["error: web: refused: one; two"]),
        (
            HookError("the hook failed", why="ValueError", frames=(("/srv/web.haco", 9, "act"),), where=PLACE),
            ["error: web: refused: the hook failed: ValueError; in: act (/srv/web.haco:9)", "  at: /srv/web.haco:7"],
        ),
    ],
)
def test_what_a_supervisor_refuses_keeps_its_place_and_its_hint(error: HaconiwaError, lines: list[str]) -> None:
    assert _refusal("web", "refused", error.lines()).lines() == lines


def test_an_answer_that_was_cut_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HACONIWA_RUN_DIR", str(tmp_path))
    (tmp_path / "web").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "web/control"))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as client:
                client.recv(100)
                client.send(b'{"ok": true, "changes": ["' + b"x" * 70000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ContainerError, match="web: cannot read its supervisor's answer: Unterminated string"):
            ask("web", {"do": "reload"})
        thread.join()
