"""``python -m regadvisor``: the command line."""

from regadvisor.cli.main import main

if __name__ == "__main__":
    main(prog_name="regadvisor")
