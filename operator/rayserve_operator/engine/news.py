"""What is told once, and again only when it has become something else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class News:
    """What was told last of one trouble that lasts while something is tried again and again."""

    _told: str = ""

    def is_new(self, words: str) -> bool:
        """Whether these are other words than the last ones, in whose place they are from now on."""
        before, self._told = self._told, words
        return words != before

    def end(self) -> bool:
        """The trouble is over. Returns whether there was one."""
        return self.is_new("")
