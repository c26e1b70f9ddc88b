"""Detectors of speech, and the engines that recognise and synthesise it, each a process."""
