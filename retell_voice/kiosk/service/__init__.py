"""The kiosk as a service of systemd: its unit, and how that is installed and removed."""
