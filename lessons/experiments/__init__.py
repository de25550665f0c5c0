"""Measuring code of the lessons, one module a lesson, so that a notebook has one call a line."""
