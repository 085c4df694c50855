"""`python -m astrotui`."""

from astrotui.cli.main import main

main()
