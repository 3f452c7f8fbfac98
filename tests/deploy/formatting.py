"""The layout that `terraform fmt` gives, as far as these files go: indentation, alignment, spacing."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ARGUMENT = re.compile(r"^(\s*)([\w.\"/{}:*?-]+?)( +)= (\S.*)$")


def layout_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each line that `terraform fmt` would change.

    Lines of arguments that follow one another without a gap have their equals signs in one column; an argument whose
    value goes on over several lines stands alone. Heredocs and comments behind arguments in such a group are not known
    here.
    """
    depth, run = 0, list[tuple[int, str, int]]()
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "the file does not end in exactly one newline"
    for number, line in enumerate(text.splitlines(), start=1):
        bare = _STRING.sub('""', line).split("#", 1)[0].rstrip()
        opened = sum(map(bare.count, "([{")) - sum(map(bare.count, ")]}"))
        yield from _line_problems(number, line, depth - bare.lstrip().startswith((")", "]", "}")))
        depth += max(min(opened, 1), -1)
        argument = _ARGUMENT.match(line)
        if argument and opened == 0 and not line.lstrip().startswith("#"):
            run.append((number, argument[2], len(argument[3])))
        else:
            yield from _run_problems(run)
            run = []
    yield from _run_problems(run)


def _line_problems(number: int, line: str, depth: int) -> Iterator[str]:
    if line != line.rstrip():
        yield f"line {number} ends in spaces"
    if "\t" in line:
        yield f"line {number} has a tab"
    if line.strip() and len(line) - len(line.lstrip()) != 2 * depth:
        yield f"line {number} is not indented by {2 * depth} spaces"


def _run_problems(run: list[tuple[int, str, int]]) -> Iterator[str]:
    widest = max((len(name) for _, name, _ in run), default=0)
    for number, name, gap in run:
        if gap != widest - len(name) + 1:
            yield f"the equals sign in line {number} is not in the column of its neighbours"
