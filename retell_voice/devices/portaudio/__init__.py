"""This computer's sound devices, through PortAudio."""
