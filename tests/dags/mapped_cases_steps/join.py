"""Write a word, or this step's own key for `me`, and in brackets what the texts in the given folders say."""

import os
import sys
from pathlib import Path

output, word, *folders = sys.argv[1:]
if word == "me":
    word = os.environ["AZUREML_RUN_ID"].split(".", 1)[1]
found = [path for folder in folders for path in sorted([*Path(folder).glob("text"), *Path(folder).glob("*/text")])]
Path(output, "text").write_text(f"{word}({' '.join(path.read_text() for path in found)})" if found else word)
