"""The few rules of look that Streamlit's theme settings cannot say. Colours come from the theme, so both modes follow."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent


def apply() -> None:
    """Name, icon and style sheet; first thing of every run."""
    st.set_page_config(page_title="Tunewright", page_icon=str(HERE / "icon.svg"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large", icon_image=str(HERE / "icon.svg"))
    st.html(HERE / "studio.css")
