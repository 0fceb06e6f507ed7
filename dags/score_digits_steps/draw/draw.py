"""Write scikit-learn's handwritten digits as image files (PGM), and what they show as a table."""

import argparse
from pathlib import Path

from sklearn.datasets import load_digits

from refrain import Run


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder for the images")
    parser.add_argument("--labels", type=Path, required=True, help="folder for labels.csv")
    args = parser.parse_args()

    digits = load_digits()
    args.labels.mkdir(parents=True, exist_ok=True)
    with open(args.labels / "labels.csv", "w", encoding="utf-8") as labels:
        for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            name = f"digit-{number:04}.pgm"
            (args.images / name).write_bytes(b"P5 8 8 16\n" + image.astype("uint8").tobytes())
            labels.write(f"{name},{label}\n")
    Run.get_context().log("images", len(digits.images))


if __name__ == "__main__":
    main()
