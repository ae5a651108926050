"""Read the emotions of the faces of an image or a folder: ``mien predict`` by another name.

    python predict_emotion.py /path/to/image.jpg
    python predict_emotion.py --batch /path/to/directory/

Every option of ``mien predict`` is taken too.
"""

from __future__ import annotations

import sys

from mien.cli import main

if __name__ == "__main__":
    main(["predict", *sys.argv[1:]])
