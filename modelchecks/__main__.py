"""`python -m modelchecks`."""

from modelchecks.cli import main

if __name__ == "__main__":
    main()
