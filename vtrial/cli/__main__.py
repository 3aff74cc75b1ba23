"""`python -m vtrial.cli`."""

from vtrial.cli import main

main()
