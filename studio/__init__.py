"""The app's mind: a DuckDB workspace and the nouns that live in it."""
