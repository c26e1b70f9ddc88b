"""``python -m retell_voice`` is ``retell-voice``."""

from retell_voice.cli import main

if __name__ == "__main__":
    main()
