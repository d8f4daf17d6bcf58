"""``python -m regadvisor`` and the program ``regadvisor``: the command line."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is imported ends it as later on."""
    try:
        from regadvisor.cli.main import main as program
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    program(prog_name="regadvisor")


if __name__ == "__main__":
    main()
