"""Say which digit each image file shows: one line for each, ``<file>: <digit>``."""

from pathlib import Path

import joblib
import numpy as np

from refrain import Model

HEADER = b"P5 8 8 16\n"


def init() -> None:
    """Load the registered model, once in each process."""
    global model  # noqa: PLW0603  # how entry scripts keep what they load
    model = joblib.load(Model.get_model_path("digits_model"))


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
