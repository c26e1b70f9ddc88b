"""``python -m retell_voice.kiosk``, for ``kiosk run``; Ctrl-C ends it while it is still loading."""

from retell_voice.program.interrupt import exit_on_interrupt_from_here

if __name__ == "__main__":
    exit_on_interrupt_from_here()
    from retell_voice.kiosk.handed_over import main

    main()
