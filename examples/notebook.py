"""Make ``article.ipynb`` of ``article.py``: ``python examples/notebook.py``.

Cells begin with ``# %%``, those of text with ``# %% [markdown]``.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT, NOTEBOOK = HERE / "article.py", HERE / "article.ipynb"


def cells(script):
    """Take a script apart: the kind of each cell, and its text."""
    parts = re.split(r"(?m)^# %%( \[markdown\])?\n", script)[1:]
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        if mark:
            yield "markdown", re.sub(r"(?m)^# ?", "", text).strip()
        else:
            yield "code", text.strip()


def notebook(script):
    """Give a notebook of a script, without results."""
    made = []
    for n, (kind, text) in enumerate(cells(script)):
        cell = {"id": f"cell-{n}", "cell_type": kind, "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(SCRIPT.read_text(encoding="utf-8")), encoding="utf-8")
