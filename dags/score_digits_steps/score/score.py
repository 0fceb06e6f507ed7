"""Say which digit each image file shows: one line for each, ``<file>: <digit>``."""

import argparse
from pathlib import Path

import joblib
import numpy as np

HEADER = b"P5 8 8 16\n"


def init() -> None:
    """Load the model, once in each process."""
    global model  # noqa: PLW0603  # how entry scripts keep what they load
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="folder with model.joblib")
    args, _ = parser.parse_known_args()
    model = joblib.load(args.model / "model.joblib")


def run(mini_batch: list[str]) -> list[str]:
    """Score some files."""
    paths = [Path(path) for path in mini_batch]
    digits = model.predict(np.stack([pixels(path) for path in paths]))
    return [f"{path.name}: {digit}" for path, digit in zip(paths, digits, strict=True)]


def pixels(path: Path) -> np.ndarray:
    """Read an image."""
    content = path.read_bytes()
    if not content.startswith(HEADER) or len(content) != len(HEADER) + 64:
        raise ValueError(f"{path.name} is no image of 8 x 8 pixels")
    return np.frombuffer(content[len(HEADER) :], dtype=np.uint8)
