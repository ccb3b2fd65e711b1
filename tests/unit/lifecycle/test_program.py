from __future__ import annotations

import pytest

from haconiwa.lifecycle.program import ExecuteProgram, candidates, environment

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_environment_is_the_defaults_and_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert environment({}, "/root", None) == {"PATH": PATH, "HOME": "/root", "container": "haconiwa"}
    assert environment({"A": "1", "HOME": "/x"}, "/root", "xterm") == {
        "PATH": PATH, "HOME": "/x", "container": "haconiwa", "TERM": "xterm", "A": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("program", "path", "paths"),
    [
        ("ls", "/bin:/usr/bin", ["/bin/ls", "/usr/bin/ls"]),
        ("ls", "", ["./ls"]),
        ("ls", "/bin::", ["/bin/ls", "./ls", "./ls"]),
        ("/bin/ls", "/usr/bin", ["/bin/ls"]),
        ("./ls", "/usr/bin", ["./ls"]),
        ("a/b", "/usr/bin", ["a/b"]),
        ("", "/usr/bin", []),
    ],
)
def test_where_a_program_is_looked_for(program: str, path: str, paths: list[str]) -> None:
    assert candidates(program, path) == paths


def test_description_names_every_program() -> None:
    step = ExecuteProgram((("/bin/bash", "-l"), ("/bin/sh",)))
    assert step.describe() == "execute /bin/bash -l or /bin/sh"
