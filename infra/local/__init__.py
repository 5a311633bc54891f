"""The local stack: what `make run` starts.

Four processes: a supervisor in front, the engine that stands in for AWS, the web server, and the pump that
feeds the workers.
Nothing here is imported by `app.py` or `chalicelib`.
"""
