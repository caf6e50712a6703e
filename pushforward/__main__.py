"""`python -m pushforward`: the command line, where the script of that name is not on the path."""

import sys

from pushforward.cli.main import main

sys.exit(main())
