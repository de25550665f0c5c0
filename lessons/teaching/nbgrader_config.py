"""Settings for nbgrader. Copy this file into the course's folder, where you start nbgrader."""

c = get_config()  # noqa: F821, nbgrader defines it

c.CourseDirectory.course_id = "instruction_tuning"
c.Execute.timeout = 1200  # seconds a cell; some cells tune many models, nbgrader's default is 30
c.Execute.startup_timeout = 120
c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("your turn")'
}
