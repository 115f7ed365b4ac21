"""Who looks at the studio: whom the provider or the proxy names."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit import config
from streamlit.errors import StreamlitSecretNotFoundError

from studio import identity, people
from studio.errors import StudioError
from studio.people import Person
from studio.workspace import Workspace


def providers() -> list[str]:
    """The OpenID providers of the secrets: "" for the one that has no name of its own. Raises StudioError for secrets that
    cannot be read: they may have said that people must sign in."""
    if not any(Path(file).exists() for file in config.get_option("secrets.files")):
        return []
    try:
        section = st.secrets.get("auth", {})
    except (StreamlitSecretNotFoundError, OSError, ValueError):
        raise StudioError("The file of secrets cannot be read.", "Mend .streamlit/secrets.toml, then start the studio again."
                          ) from None
    named = [name for name, part in section.items() if hasattr(part, "items") and name != "client_kwargs"]
    return ([""] if "client_id" in section else []) + named


def off() -> bool:
    """Whether nobody has to sign in here: the studio of one person."""
    return not identity.behind_proxy() and not providers()


def person() -> Person | None:
    """Who signed in, None for nobody. Raises StudioError for a sign-in that does not count."""
    if identity.behind_proxy():
        return identity.of_headers(st.context.headers.get_all)
    if providers() and st.user.is_logged_in:
        return identity.of_claims(st.user.to_dict())
    return None


def seen(ws: Workspace) -> Workspace:
    """The workspace as who is here sees it. Raises StudioError for nobody, where people must sign in."""
    if off():
        if not identity.left_open() and not people.nobody(ws):
            raise StudioError("This workspace has people, but the studio was started without a way to sign in.",
                              f"Set the provider or the proxy up again, or start it with {identity.LOGIN}=off: then "
                              "whoever reaches it may do everything.")
        return ws
    if (found := person()) is None:
        raise StudioError("Nobody is signed in.", "Sign in first.")
    return ws.seen_by(found)
