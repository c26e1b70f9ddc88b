"""Who speaks when: turns, endpointing, barge-in, reminders. Pure; sound heard is the clock."""
