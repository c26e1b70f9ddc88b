"""Sound files, as they are read and written."""
