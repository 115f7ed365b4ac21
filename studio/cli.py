"""The `tunewright` command: the same nouns without a browser. Its commands are in `studio/commands`."""

from studio.commands.tree import main

__all__ = ["main"]
