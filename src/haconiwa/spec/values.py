"""One value from a haco file: is it of the right kind, and what is it in plain types.

Every function takes whatever the user gave and returns a plain ``str``, ``int``, ``bool``, list or dict, or raises
`Refused` with the reason. They run none of the value's own code except ``__fspath__``, so a value whose ``__eq__``
or ``__str__`` raises does no harm.
"""

from __future__ import annotations

import os

from haconiwa.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")
    U = TypeVar("U")

ID_MAX = 2**32 - 2
"""Largest user or group id; the next one means "no change" to the kernel."""
PATH_MAX = 4095
"""Longest path in bytes, without the final NUL."""
TEXT_MAX = 65536
ARGUMENT_MAX = 131071
"""Longest single argument of execve(2) in bytes, without the final NUL."""
LABEL_MAX = 4000
"""Longest security label in bytes: with the word before it, it must fit into a page."""
GROUPS_MAX = 65536
"""Most supplementary groups, see getgroups(2)."""

_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_DIGITS = frozenset("0123456789")
_OCTAL = frozenset("01234567")


class Refused(Exception):
    """A value that a setting does not take.

    Attributes:
        hint: What to write instead.
        others: What else of the same value is refused.
    """

    def __init__(self, what: str, hint: str = "", others: Sequence[Refused] = ()) -> None:
        super().__init__(what)
        self.hint = hint
        self.others = others


def show(value: Any) -> str:
    """A value in a message: short, on one line, without running any of its code."""
    kind = type(value)
    if kind is str:
        text = str.__str__(value)
        return f'"{printable(text[:60])}{"…" if len(text) > 60 else ""}"'
    if kind is int:
        bits = int.bit_length(value)
        return repr(value) if bits <= 128 else f"a number of {bits} bits"
    if value is None or kind is bool:
        return repr(value)
    # A metaclass may have a __name__ of its own, so ask `type` for the real one.
    return f"a value of type {printable(type.__dict__['__name__'].__get__(kind))}"


def string(value: Any, expected: str = "text") -> str:
    """A plain ``str``; members of a ``StrEnum`` and other subclasses lose their class."""
    if not issubclass(type(value), str):
        raise Refused(f"expected {expected}, not {show(value)}")
    plain = str.__str__(value)
    if len(plain) > TEXT_MAX:
        raise Refused(f"is longer than {TEXT_MAX} characters")
    return plain


def text(value: object, expected: str = "text") -> str:
    """Text on one line, not empty, without control characters."""
    plain = string(value, expected)
    if not plain:
        raise Refused(f"expected {expected}, not an empty string")
    if not plain.isprintable():
        raise Refused(f"{show(plain)} has a control character")
    return plain


def word(value: object, expected: str = "text") -> str:
    """Text that becomes an argument of a program and must not be taken for an option."""
    plain = text(value, expected)
    if plain[0] == "-":
        raise Refused(f'{show(plain)} begins with "-"')
    return plain


def argument(value: object, expected: str = "text") -> str:
    """An argument or environment value: anything that execve(2) takes, paths too."""
    plain = string(value, expected) if issubclass(type(value), str) else path_text(value, expected)
    if "\0" in plain:
        raise Refused(f"{show(plain)} has a NUL character")
    try:
        size = len(plain.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise Refused(f"{show(plain)} cannot be written in UTF-8") from None
    if size > ARGUMENT_MAX:
        raise Refused(f"is longer than {ARGUMENT_MAX} bytes")
    return plain


def boolean(value: object) -> bool:
    """True or False, nothing that is only like them."""
    if value is True or value is False:
        return value is True
    raise Refused(f"expected True or False, not {show(value)}")


def number(value: object, low: int, high: int, expected: str = "a number", shown: Callable[[int], str] = show) -> int:
    """A whole number within bounds; members of an ``IntEnum`` lose their class, booleans are no numbers."""
    if not issubclass(type(value), int) or type(value) is bool:
        raise Refused(f"expected {expected}, not {show(value)}")
    plain = int.__index__(value)  # type: ignore[arg-type]
    if not low <= plain <= high:
        raise Refused(f"{shown(plain)} is not between {shown(low)} and {shown(high)}")
    return plain


def between(low: int, high: int, expected: str = "a number") -> Callable[[object], int]:
    """`number` with its bounds."""
    return lambda value: number(value, low, high, expected)


def one_of(value: object, words: Iterable[str], expected: str, hints: dict[str, str] | None = None) -> str:
    """One of the words; `hints` says something about a word that is not among them."""
    plain = string(value, expected)
    if plain in words:
        return plain
    raise Refused(f"{show(plain)} is not {expected}", (hints or {}).get(plain) or suggestion(plain, words))


def container_name(value: object) -> str:
    """A container's name: 1-64 letters, digits and ``_ . -``, not beginning with ``.`` or ``-``."""
    plain = string(value, "a name")
    if not 1 <= len(plain) <= 64 or not _NAME_CHARACTERS.issuperset(plain) or plain[0] in ".-":
        raise Refused(f'{show(plain)} is not a name: 1-64 of A-Z a-z 0-9 _ . -, not beginning with "." or "-"')
    return plain


def host_name(value: object) -> str:
    """A host or domain name, see sethostname(2)."""
    plain = string(value, "a host name")
    if not 1 <= len(plain) <= 64 or not _NAME_CHARACTERS.issuperset(plain) or plain[0] in "._-":
        raise Refused(f"{show(plain)} is not a host name: 1-64 of A-Z a-z 0-9 _ . -, beginning with a letter or digit")
    return plain


def owner_id(value: object) -> int | str:
    """A user or group: a number, or a name of the container's passwd or group file.

    A string of ASCII digits is a number and never looked up.
    """
    expected = f"a name or a number up to {ID_MAX}"
    if not issubclass(type(value), str):
        return number(value, 0, ID_MAX, expected)
    plain = string(value)
    if plain and _DIGITS.issuperset(plain):
        # Ten digits are enough for every id, and more would only keep int() busy.
        return number(int(plain), 0, ID_MAX) if len(plain) <= 10 else _refuse_name(plain, expected)
    if len(plain) > 256 or not plain or not _NAME_CHARACTERS.issuperset(plain.removesuffix("$")):
        _refuse_name(plain, expected)
    if plain[0] in _DIGITS or plain[0] in ".-$":
        _refuse_name(plain, expected)
    return plain


def _refuse_name(plain: str, expected: str) -> int:
    raise Refused(f"{show(plain)} is not {expected}")


def path_text(value: object, expected: str = "a path") -> str:
    """A path as text: printable, not empty, not longer than the kernel takes. Runs ``__fspath__``."""
    try:
        plain = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        raise Refused(f"expected {expected}, not {show(value)}") from None
    except Exception as error:
        raise Refused(f"cannot read the path: {describe(error)}") from None
    plain = text(plain, expected)
    if len(plain.encode()) > PATH_MAX:
        raise Refused(f"{show(plain)} is longer than {PATH_MAX} bytes")
    return plain


def inside(value: object) -> str:
    """An absolute path as seen in the container, in its shortest form; ``..`` is refused."""
    plain = path_text(value)
    if plain[0] != "/":
        raise Refused(f"{show(plain)} is relative: give the path as seen inside the container")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(f'{show(plain)} has ".." in it')
    return "/" + "/".join(parts)


def items(value: object, parse: Callable[[object], T], expected: str) -> list[T]:
    """A new list of the parsed items of a list or tuple."""
    kind = type(value)
    if issubclass(kind, list):
        raw: list[object] = [*list.__iter__(value)]  # type: ignore[arg-type]
    elif issubclass(kind, tuple):
        raw = [*tuple.__iter__(value)]  # type: ignore[arg-type]
    else:
        raise Refused(f"expected {expected}, not {show(value)}")
    return parse_all(parse, raw)


def parse_all(parse: Callable[[T], U], raw: Iterable[T]) -> list[U]:
    """Each item parsed; all that are refused are refused together.

    Raises:
        Refused: The first, with the others.
    """
    parsed, refused = [], []
    for item in raw:
        try:
            parsed.append(parse(item))
        except Refused as error:
            refused.append(error)
    if refused:
        first = refused[0]
        raise Refused(str(first), first.hint, [*first.others, *refused[1:]])
    return parsed


def command_line(value: object) -> tuple[str, ...]:
    """A program with its arguments; a single string or path is a program without any."""
    if issubclass(type(value), (list, tuple)):
        argv = items(value, argument, "a program")
    else:
        argv = [argument(value, "a program (text) or a list of a program and its arguments")]
    if not argv or not argv[0]:
        raise Refused("names no program")
    return tuple(argv)


def environ_key(value: object) -> str:
    """The name of an environment variable."""
    plain = text(value, "the name of a variable")
    if "=" in plain:
        raise Refused(f'{show(plain)} has "=" in it')
    return plain


def environ_value(value: object) -> str:
    """The value of an environment variable; numbers are written in decimal."""
    if type(value) is not bool and issubclass(type(value), int):
        return str(number(value, -(2**63), 2**64))
    return argument(value, "text or a number")


def capability(value: object) -> str:
    """A capability's name in lower case without ``cap_``."""
    from haconiwa.kernel.names import CAPABILITIES

    plain = text(value, "a capability").lower().removeprefix("cap_")
    if plain == "all" or plain in CAPABILITIES:
        return plain
    raise Refused(f"unknown capability {show(plain)}", suggestion(plain, CAPABILITIES))


def security_label(value: object) -> str:
    """What a security module calls the confinement of a program: one line that fits where the kernel takes it."""
    plain = text(value, "the name of a profile or context")
    if len(plain.encode()) > LABEL_MAX:
        raise Refused(f"{show(plain)} is longer than {LABEL_MAX} bytes")
    return plain


def selinux_context(value: object) -> str:
    """``user:role:type`` or ``user:role:type:level``."""
    plain = security_label(value)
    if plain.count(":") < 2 or " " in plain:
        raise Refused(f"{show(plain)} is not a context: user:role:type:level")
    return plain


def umask(value: object) -> int:
    """A number up to 0o777, or its octal digits as text, as the shell's umask takes them."""
    if issubclass(type(value), str):
        plain = string(value)
        if not 1 <= len(plain) <= 4 or not _OCTAL.issuperset(plain):
            raise Refused(f"{show(plain)} is not a umask such as 0o022")
        value = int(plain, 8)
    return number(value, 0, 0o777, "a number such as 0o022", _octal)


def _octal(value: int) -> str:
    return oct(value) if int.bit_length(value) <= 128 else show(value)


def personality(value: object) -> str:
    """An execution domain: ``linux`` or ``linux32``."""
    from haconiwa.spec.names import PERSONALITIES

    return PERSONALITIES[one_of(value, PERSONALITIES, "one of " + " ".join(PERSONALITIES))]


def dedent(code: str) -> str:
    """Code of a triple-quoted string without its common indentation and the empty lines around it."""
    lines = [line if line.strip() else "" for line in code.split("\n")]
    margin: str | None = None
    for line in filter(None, lines):
        indent = line[: len(line) - len(line.lstrip())]
        while margin is not None and not indent.startswith(margin):
            margin = margin[:-1]
        margin = indent if margin is None else margin
    cut = len(margin or "")
    return "\n".join(line[cut:] for line in lines).strip("\n") + "\n"


def script(value: object, expected: str = "a script (text)") -> str:
    """Code, dedented."""
    plain = string(value, expected)
    if not plain.strip():
        raise Refused("is empty")
    if "\0" in plain:
        raise Refused("has a NUL character")
    return dedent(plain)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean "x"?`` when a known word is near, else nothing."""
    name = name[:64].lower()
    longer = [word for word in known if len(name) > 2 and word.lower().startswith(name)]
    near = sorted((_distance(name, word.lower()), word) for word in longer or known)
    if near and (longer or near[0][0] <= max(1, len(name) // 3)):
        return f'did you mean "{near[0][1]}"?'
    return ""


def _distance(a: str, b: str) -> int:
    """How many letters must be put in, left out, changed or swapped (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, above, row = row, before, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]


def describe(error: BaseException) -> str:
    """An exception as ``ValueError: text``; safe when its own ``__str__`` raises."""
    name = printable(type.__dict__["__name__"].__get__(type(error)))
    try:
        said = str(error)
    except Exception:
        return name
    return f"{name}: {printable(said[:500])}" if said else name
