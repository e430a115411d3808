#!/opt/venv/bin/python3
"""Starts JupyterLab with the arguments it is given, by the name that the upstream image has for this."""

import os
import shlex
import sys

arguments = shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))
os.execvp("jupyter", ["jupyter", "lab", *arguments, *sys.argv[1:]])  # noqa: S606 - receives the stop signal itself
