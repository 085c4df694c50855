"""`python -m astrotui`."""

from astrotui.cli.entry import main

main()
