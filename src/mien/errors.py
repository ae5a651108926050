"""Everything mien raises on purpose.

    MienError                    the root; catch this at an edge
    ├── InputError               what the caller handed in cannot be used
    │   ├── ImageError           an image cannot be read
    │   │   ├── UnsupportedImage     not a format that is read (by content, not by name)
    │   │   ├── BrokenImage          the right format, but truncated or damaged
    │   │   └── ImageTooLarge        more bytes, pixels or side length than allowed
    │   ├── VideoError           a video cannot be read or written
    │   └── DataError            a data set is not in the expected layout
    ├── ConfigError              a setting, option or recipe is unknown or out of range
    ├── ModelError               a model file or its card cannot be used
    ├── TrainingError            a training run cannot go on
    └── MissingExtra             an optional part of mien is not installed

The service adds :class:`mien.service.errors.ServiceError`, a refusal with an HTTP status.

Every message says what was expected, what was received and what to do. ``code`` is a
stable name for programs (the service sends it); ``exit_code`` is what the command line
returns.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BrokenImage",
    "ConfigError",
    "DataError",
    "ImageError",
    "ImageTooLarge",
    "InputError",
    "MienError",
    "MissingExtra",
    "ModelError",
    "TrainingError",
    "UnsupportedImage",
    "VideoError",
]


class MienError(Exception):
    """Root of every error that mien raises on purpose."""

    code: str = "error"
    exit_code: ClassVar[int] = 1


class InputError(MienError):
    """What the caller handed in cannot be used."""

    code = "bad_input"
    exit_code = 2


class ImageError(InputError):
    """An image cannot be read."""

    code = "bad_image"


class UnsupportedImage(ImageError):
    """The bytes are not one of the image formats that are read."""

    code = "unsupported_image"


class BrokenImage(ImageError):
    """The format is right, but the data is truncated or damaged."""

    code = "broken_image"


class ImageTooLarge(ImageError):
    """The image has more bytes, pixels or a longer side than the limits allow."""

    code = "image_too_large"


class VideoError(InputError):
    """A video cannot be read or written."""

    code = "bad_video"


class DataError(InputError):
    """A data set is not in the layout it should be in."""

    code = "bad_data"


class ConfigError(MienError):
    """A setting, option or recipe key is unknown or out of range."""

    code = "bad_config"
    exit_code = 2


class ModelError(MienError):
    """A model file or its card cannot be used."""

    code = "bad_model"
    exit_code = 2


class TrainingError(MienError):
    """A training run cannot go on; its last good checkpoint is kept."""

    code = "training_failed"


# Packages whose module has another name.
_PACKAGES = {
    "PIL": "Pillow",
    "ai_edge_litert": "ai-edge-litert",
    "cv2": "opencv-python-headless",
    "fastapi_offline": "fastapi-offline",
    "jinja2": "Jinja2",
    "multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
    "pydantic_settings": "pydantic-settings",
    "python_multipart": "python-multipart",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


class MissingExtra(MienError):
    """An optional part of mien is asked for, but its packages are not installed."""

    code = "missing_extra"
    exit_code = 2

    def __init__(self, extra: str, package: str) -> None:
        """Take the extra, and the package or a module of it: ``yaml`` is PyYAML."""
        module = package.partition(".")[0]
        package = _PACKAGES.get(module, module)
        super().__init__(
            f"this needs the package '{package}', which is not installed: "
            f"run  pip install 'mien[{extra}]'"
        )
        self.extra = extra
        self.package = package

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Let it come over from another process."""
        return type(self), (self.extra, self.package)
