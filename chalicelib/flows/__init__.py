"""Use cases that touch two features or more; each file has one public run."""
