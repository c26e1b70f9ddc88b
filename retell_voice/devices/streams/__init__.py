"""The two directions of audio between devices and the event loop."""
