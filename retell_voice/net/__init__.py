"""What every connection to the network has in common."""
