"""The long measuring code of the lessons: one module a lesson, plain functions."""
