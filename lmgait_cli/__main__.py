"""`python -m lmgait_cli`: the same as `lmgait`, for launchers that start a module."""

from lmgait_cli.main import run

if __name__ == "__main__":
    run()
