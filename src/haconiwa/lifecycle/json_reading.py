"""Reading JSON without the ``json`` module, which would cost every supervisor a megabyte for good."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEEPEST = 32
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE = " \t\r\n"


def from_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    reader = _Reader(text)
    value = reader.value(0)
    if reader.peek():
        raise ValueError("something follows the JSON value")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while self._text[self._at : self._at + 1] in _SPACE and self._at < len(self._text):
            self._at += 1
        return self._text[self._at : self._at + 1]

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("JSON is nested too deeply")
        first = self.peek()
        if first == '"':
            return self._string()
        if first in ("{", "["):
            return self._object(depth) if first == "{" else self._array(depth)
        return self._word()

    def _take(self, expected: str) -> bool:
        found = self.peek() == expected
        self._at += found
        return found

    def _expect(self, expected: str) -> None:
        if not self._take(expected):
            raise ValueError(f'"{expected}" is missing at {self._at}')

    def _object(self, depth: int) -> dict[str, Any]:
        self._expect("{")
        found: dict[str, Any] = {}
        while not self._take("}"):
            if found:
                self._expect(",")
            self.peek()
            key = self._string()
            self._expect(":")
            found[key] = self.value(depth + 1)
        return found

    def _array(self, depth: int) -> list[Any]:
        self._expect("[")
        found: list[Any] = []
        while not self._take("]"):
            if found:
                self._expect(",")
            found.append(self.value(depth + 1))
        return found

    def _string(self) -> str:
        self._expect('"')
        parts: list[str] = []
        while (character := self._text[self._at : self._at + 1]) != '"':
            if not character or character < " ":
                raise ValueError("a JSON string has no end, or a control character")
            self._at += 1
            parts.append(self._escape() if character == "\\" else character)
        self._at += 1
        # two escaped halves of one character come as such
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def _escape(self) -> str:
        kind = self._text[self._at : self._at + 1]
        self._at += 1
        if kind == "u":
            digits = self._text[self._at : self._at + 4]
            self._at += 4
            return chr(int(digits, 16))
        if kind not in _ESCAPES:
            raise ValueError("an unknown escape in a JSON string")
        return _ESCAPES[kind]

    def _word(self) -> Any:
        start = self._at
        while self._text[self._at : self._at + 1].isalnum() or self._text[self._at : self._at + 1] in ("-", "+", "."):
            self._at += 1
        word = self._text[start : self._at]
        if word in _WORDS:
            return _WORDS[word]
        if not (word.isascii() and word.lstrip("-")[:1].isdigit()):
            raise ValueError(f"no JSON value at {start}")
        return float(word) if not word.lstrip("-").isdigit() else int(word)
