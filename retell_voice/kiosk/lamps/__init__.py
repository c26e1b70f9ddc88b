"""What a kiosk shows by light: patterns, and the two kinds of lamps."""
