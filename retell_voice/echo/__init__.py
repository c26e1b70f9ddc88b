"""Echo control: the port, and one file for each way of doing it. No devices, threads or clock."""
