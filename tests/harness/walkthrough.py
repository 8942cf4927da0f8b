"""A reader who follows a document: runs its commands in one shell, and compares what they print.

- A block `sh` is run. The block `text` behind it is its output; `...` stands for anything.
- `sh,background` starts a program of its own, which runs until the end.
- `sh,build` is what the tests have already: it is not run.
- `LANGUAGE,file=NAME` is a file that the reader writes.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .documents import Block, blocks
from .process import STOP_LIMIT_S, end
from .waiting import PATIENCE_S, eventually

END = "end-of-block"


class Walk:
    """A reader of one document, in a directory of its own. `ports` replaces the ports of the document."""

    def __init__(self, document: Path, directory: Path, ports: dict[int, int], environment: dict[str, str]) -> None:
        self.directory = directory
        self.ports = ports
        self.environment = {**os.environ, **environment}
        self.stack = ExitStack()
        self.background: list[Path] = []
        text = document.read_text()
        starts = [
            (text.count("\n", 0, found.start()) + 1, found[1])
            for found in re.finditer(r"^#+ (.+)$", text, re.MULTILINE)
        ]
        self.sections: dict[str, list[Block]] = {title: [] for _, title in starts}
        for block in blocks(document):
            title = [title for line, title in starts if line < block.line][-1]
            self.sections[title].append(block)
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=self.environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # What the reader saw.
        self.seen = ""

    def section(self, title: str) -> None:
        """Do what the section says."""
        found = self.sections.pop(title)
        for block, after in zip(found, [*found[1:], None], strict=True):
            expected = self.placed(after.text) if after and after.words[:1] == ("text",) else None
            self.follow(block, expected)

    def follow(self, block: Block, expected: str | None) -> None:
        """Do what one block says."""
        for word in block.words:
            if word.startswith("file="):
                (self.directory / word.removeprefix("file=")).write_text(self.placed(block.text))
        if block.words == ("sh", "background"):
            self.start(block, expected)
        elif block.words == ("sh",):
            self.run(block, expected)

    def start(self, block: Block, expected: str | None) -> None:
        """Start a program, and wait for what it prints first."""
        log = self.directory / f"background-{len(self.background)}.txt"
        with log.open("w") as out:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {self.placed(block.text)}"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.stack.callback(interrupt, process)
        self.background.append(log)
        if expected:
            over = lambda: matches(expected, log.read_text()) or process.poll() is not None  # noqa: E731
            eventually(over, f"{block.name} prints {expected}", log.read_text, 2 * PATIENCE_S)
            assert matches(expected, log.read_text()), (
                f"{block.name}: expected\n{expected}\nbut it printed\n{log.read_text()}"
            )

    def run(self, block: Block, expected: str | None) -> None:
        """Run commands. A change of the policy needs a moment: calls are repeated until they print the expected."""
        text = self.placed(block.text)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            status, output = self.typed(text)
            if expected is None:
                assert status == 0, f"{block.name}: {output}"
                return
            if matches(expected, output):
                return
            is_call = all(line.startswith("call ") for line in text.splitlines())
            assert is_call and time.monotonic() < deadline, (
                f"{block.name}: expected\n{expected}\nbut it printed\n{output}"
            )
            time.sleep(0.3)

    def typed(self, text: str) -> tuple[int, str]:
        """The exit status and the output of commands in the shell."""
        assert self.shell.stdin and self.shell.stdout
        self.shell.stdin.write(f"{text}\necho; echo {END} $?\n")
        self.shell.stdin.flush()
        lines: list[str] = []
        for line in self.shell.stdout:
            if line.startswith(END):
                output = "".join(lines)
                self.seen += output
                return int(line.split()[1]), output
            lines.append(line)
        raise AssertionError(f"the shell ended: {''.join(lines)}")

    def placed(self, text: str) -> str:
        """A text of the document with the ports of this run."""
        for port, own in self.ports.items():
            text = re.sub(rf"(?<!\d){port}(?!\d)", str(own), text)
        return text

    def place(self, name: str) -> None:
        """The ports of this run in a file that a command wrote."""
        file = self.directory / name
        file.write_text(self.placed(file.read_text()))

    def close(self) -> None:
        """End the shell and what was started."""
        end(self.shell, patiently=False)
        self.stack.close()


@contextmanager
def walk(document: Path, directory: Path, ports: dict[int, int], environment: dict[str, str]) -> Iterator[Walk]:
    """A reader, who ends everything that was started."""
    reader = Walk(document, directory, ports, environment)
    try:
        yield reader
    finally:
        reader.close()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C: it ends the program and what that started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def matches(expected: str, output: str) -> bool:
    """Whether an output has the expected parts in their order. Spaces do not count."""
    rest = " ".join(output.split())
    for part in re.split(r"\s*\.\.\.\s*", " ".join(expected.split())):
        _, found, rest = rest.partition(part) if part else ("", "x", rest)
        if not found:
            return False
    return True
