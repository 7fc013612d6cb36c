"""Measurements on a real cluster; `python -m bench`."""
