"""The command `vtrial`.

Takes a command line.
Does what one verb of the package does.
Gives words, a file, and an exit code.
"""


def main() -> None:
    """Run the command line."""
    from vtrial.cli.app import run_app

    run_app()
