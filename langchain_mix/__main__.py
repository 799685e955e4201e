"""`python -m langchain_mix`: the same as `langchain-mix`."""

from langchain_mix.cli import main

if __name__ == "__main__":
    main()
