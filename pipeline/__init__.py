"""Engines that run without the database: each job is a run folder and one child process."""
