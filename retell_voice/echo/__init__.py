"""Echo control: the port, and one file per method. No devices, threads or clock."""
