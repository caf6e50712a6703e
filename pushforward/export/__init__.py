"""Models as files that need no Python: ONNX graphs, and pages that run them in a browser."""

from __future__ import annotations

from pushforward.core.lazy import lazy

# No module shares a function's name: importing it would replace the function.
__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "onnx_files": ["write_onnx", "ExportedGraph"],
        "html_page": ["write_page", "ExportedPage"],
    },
)
