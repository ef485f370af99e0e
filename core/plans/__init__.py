"""Trainings and warm-ups as plans, which a dry run estimates and a verb runs."""
