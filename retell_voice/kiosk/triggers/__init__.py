"""What calls: a file for each kind of trigger."""
