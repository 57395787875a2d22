"""Image names, read once from the environment, and the one `component` decorator."""

import functools
import os

from kfp import dsl

IMAGE = os.environ.get("ASSAY_IMAGE", "ghcr.io/assay-ranking/assay-python:0.1.0")
"""Holds the installed package. The name holds `python`, or kfp's local runner warns at each task."""

component = functools.partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
"""`dsl.component` of this suite: the image's own package, nothing installed at run time."""
