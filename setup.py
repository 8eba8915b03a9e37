from setuptools import setup

setup()  # see pyproject.toml
