"""One placeholder, `{{path | format("argument") | …}}`, and a text that holds some."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from domain.notifications.formats import FORMATS, Format
from domain.notifications.output import Output
from domain.notifications.paths import MISSING, Path
from domain.notifications.tokens import Kind, Scanner, Token, read_path

OPENING = "{{"
MAX_FORMATS = 8


@attrs.frozen
class Placeholder:
    """path: where the value is, or None for one that is written out: `{{"{{"}}` writes two braces."""

    path: Path | None
    constant: str
    formats: tuple[tuple[Format, tuple[Any, ...]], ...]

    def value(self, view: Mapping[str, Any], output: Output) -> Any:
        """The value, formatted; None where there is none. Raises TooLarge or Invalid as Output does."""
        value = self.constant if self.path is None else self.path.find(view)
        if value is MISSING:
            value = None
            if not any(format_ is FORMATS["default"] for format_, _ in self.formats):
                output.missing[str(self.path)] = None
        for format_, arguments in self.formats:
            value = format_.apply(value, arguments, output)
        return value


def parse_text(
    text: str, field: str, locate: Callable[[int], tuple[int, int]] | None = None
) -> Iterator[str | Placeholder]:
    """The text's parts in order, none of them empty. Raises Invalid with line, column and what was expected."""
    at = 0
    while (start := text.find(OPENING, at)) >= 0:
        if start > at:
            yield text[at:start]
        scanner = Scanner(text, field=field, start=start + len(OPENING), locate=locate)
        yield _placeholder(scanner)
        at = scanner.close()
    if at < len(text):
        yield text[at:]


def _placeholder(scanner: Scanner) -> Placeholder:
    path, constant = None, ""
    if scanner.token.kind is Kind.CONSTANT and isinstance(scanner.token.value, str):
        constant = scanner.advance().value
    else:
        path = read_path(scanner)
    formats: list[tuple[Format, tuple[Any, ...]]] = []
    while scanner.at_symbol("|"):
        scanner.advance()
        if len(formats) == MAX_FORMATS:
            raise scanner.refusal(f"at most {MAX_FORMATS} formats")
        formats.append(_format(scanner))
    if not scanner.at_symbol("}}"):
        raise scanner.refusal("'}}' or '|'")
    return Placeholder(path, constant, tuple(formats))


def _format(scanner: Scanner) -> tuple[Format, tuple[Any, ...]]:
    name = scanner.token
    if name.text not in FORMATS:
        raise scanner.refusal(f"one of {', '.join(FORMATS)}")
    scanner.advance()
    arguments: list[Any] = []
    if scanner.at_symbol("("):
        scanner.advance()
        while not scanner.at_symbol(")"):
            if arguments:
                scanner.expect(",")
            arguments.append(_argument(scanner).value)
        scanner.advance()
    format_ = FORMATS[name.text]
    if not format_.accepts(tuple(arguments)):
        raise scanner.wrong(f"'{name.text}' was given the wrong arguments", name.at, _usage(name.text, format_))
    return format_, tuple(arguments)


def _argument(scanner: Scanner) -> Token:
    if scanner.token.kind is not Kind.CONSTANT:
        raise scanner.refusal("a text in quotes, a number, true, false or null")
    return scanner.advance()


def _usage(name: str, format_: Format) -> str:
    example = {"default": '("none")', "join": '(", ")', "truncate": "(200)", "date": '("DD.MM.YYYY")'}.get(name, "")
    optional = " or without" if example and not format_.required else ""
    return f"write {name}{example}{optional}"
