from pushforward.studio.server import application as application
from pushforward.studio.server import serve as serve
from pushforward.studio.studio import Studio as Studio
