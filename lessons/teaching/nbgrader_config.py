"""nbgrader's settings for these lessons. Copy it into the course's folder (or start nbgrader in a folder that has it)."""

c = get_config()  # noqa: F821, nbgrader puts it there

c.CourseDirectory.course_id = "instruction_tuning"
c.Execute.timeout = 1200  # seconds a cell; nbgrader's own 30 are too few for the longest cells, which tune many models
c.Execute.startup_timeout = 120
c.ClearSolutions.code_stub = {"python": '# YOUR CODE HERE\nraise NotImplementedError("your turn")'}
