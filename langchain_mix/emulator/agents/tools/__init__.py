"""The server's tools, one module per subject. They work inside a session's two directories and nowhere else."""
