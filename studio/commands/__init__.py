"""The `tunewright` commands: what the pages can do, for scripts. Each group has a module; `tree` knows which."""
