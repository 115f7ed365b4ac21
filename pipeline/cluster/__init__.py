"""Runs on a Ray cluster: the ferry here, the job there, and what engines inside the job ask."""
