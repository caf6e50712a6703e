"""`python -m pushforward`: the command line, where the script of that name is not on the path."""

from pushforward.cli.main import run

run()
