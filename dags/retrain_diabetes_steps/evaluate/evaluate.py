"""Score a model on the holdout part, which neither training nor the choice between models has seen."""

import argparse
import json
import struct
import zlib
from pathlib import Path

import numpy as np

from refrain import Run

SIDE = 240  # pixels of the chart
INK, LINE, PAPER = (31, 92, 153), (190, 190, 190), (255, 255, 255)


def scores(truth: np.ndarray, prediction: np.ndarray, train_mean: float) -> dict[str, float]:
    """Errors of the model, and of always answering with the mean of the train part."""
    errors = truth - prediction
    spread = float(np.sum((truth - truth.mean()) ** 2))
    values = {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
        "r2": 1 - float(np.sum(errors**2)) / spread,
        "baseline_rmse": float(np.sqrt(np.mean((truth - train_mean) ** 2))),
    }
    return {name: float(f"{value:.9g}") for name, value in values.items()}


def scatter(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Pixels of prediction (up) against truth (right), with the diagonal of the perfect model."""
    pixels: np.ndarray = np.full((SIDE, SIDE, 3), PAPER, dtype=np.uint8)
    pixels[np.arange(SIDE)[::-1], np.arange(SIDE)] = LINE
    low = min(truth.min(), prediction.min())
    scale = (SIDE - 9) / (max(truth.max(), prediction.max()) - low)
    across, upward = (((values - low) * scale).astype(int) + 4 for values in (truth, prediction))
    for right, up in zip(across, upward, strict=True):
        pixels[SIDE - 2 - up : SIDE + 1 - up, right - 1 : right + 2] = INK
    return pixels


def png(pixels: np.ndarray) -> bytes:
    """Encode 8-bit RGB pixels as PNG (ISO/IEC 15948), to spare the step a plotting library."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def read_part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and target of one part of the prepared data."""
    values = np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)
    return values[:, :-1], values[:, -1]


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with model.json")
    parser.add_argument("--data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for evaluation.json and the chart")
    args = parser.parse_args()
    if not (args.model / "model.json").is_file():
        parser.error(f"--model {args.model} holds no model.json. Give the folder of the best model.")
    if not (args.data / "holdout.csv").is_file():
        parser.error(f"--data {args.data} holds no holdout.csv. Give the folder that the prepare step wrote.")

    model = json.loads((args.model / "model.json").read_text(encoding="utf-8"))
    inputs, truth = read_part(args.data, "holdout")
    prediction = inputs @ np.array(model["coefficients"]) + model["intercept"]
    evaluation = scores(truth, prediction, read_part(args.data, "train")[1].mean())

    args.output.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"schema": 1, "rows": len(truth), **evaluation}, indent=2)
    (args.output / "evaluation.json").write_text(content + "\n", encoding="utf-8")
    chart = args.output / "prediction_against_truth.png"
    chart.write_bytes(png(scatter(truth, prediction)))

    run = Run.get_context()
    for name, value in evaluation.items():
        run.log(name, value)
    run.log_image("prediction_against_truth", path=str(chart))


if __name__ == "__main__":
    main()
