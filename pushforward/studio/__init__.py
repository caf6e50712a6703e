"""A local page for models: watch them learn, walk their latent space, edit, draw and translate.

`server` answers requests of pages over a socket, `rooms` holds what can be asked, one module per
room of the page, and `page` the page itself: ES modules that need neither a build nor a network.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "server": ["application", "serve"],
        "studio": ["Studio"],
    },
)
