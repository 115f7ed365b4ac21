"""A run of kind "push": an exported folder on its way to the Hugging Face Hub. The token is in the environment alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.rundir import Child
from pipeline.spec_deploy import PushSpec

CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "huggingface_hub")
"""Whose errors the Hub's client lets through."""


def run(child: Child, spec: PushSpec, workspace: Path) -> dict[str, Any]:
    """Make the repository, private unless said otherwise, and upload. Raises PipelineError in words, without the token."""
    token, folder = os.environ.get("HF_TOKEN", "").strip(), workspace / spec.folder
    if not token:
        raise PipelineError("There is no Hugging Face token: HF_TOKEN is not set where the studio was started.",
                            "Set it and start the studio again; it is read from there and stored nowhere.")
    if not (folder / "README.md").is_file():
        raise PipelineError("The folder that was to go is gone.", "Export or push it again.")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    child.say("pushing", sentence=f"Uploading to {spec.repository}")
    api = HfApi(token=token)
    try:
        api.create_repo(spec.repository, repo_type=spec.what, private=spec.private, exist_ok=True)
        if spec.private and not api.repo_info(spec.repository, repo_type=spec.what).private:
            raise PipelineError(f"{spec.repository} is there already, for everybody to see.",
                                "Choose another name, make it private on the Hub, or say that everybody may see it.")
        api.upload_folder(repo_id=spec.repository, repo_type=spec.what, folder_path=str(folder),
                          commit_message="Exported by Tunewright")
    except PipelineError:
        raise
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise PipelineError(f"The Hugging Face Hub refused {spec.repository}" + (f" (HTTP {status})." if status else "."),
                            "Check the name, and that the token may write there.") from None
    except Exception as error:
        known = isinstance(error, OSError | ValueError | RuntimeError) or type(error).__module__.split(".")[0] in CLIENTS
        if not known:
            raise
        raise PipelineError(f"The Hugging Face Hub could not be reached ({type(error).__name__}).",
                            "Check the network and the token, then resume: what is there is not uploaded again.") from None
    address = f"https://huggingface.co/{'datasets/' if spec.what == 'dataset' else ''}{spec.repository}"
    return {"repository": spec.repository, "address": address, "private": spec.private}


def done_words(data: dict[str, Any]) -> str:
    return f"{data['repository']} is on the Hugging Face Hub, {'private' if data['private'] else 'for everybody to see'}."
