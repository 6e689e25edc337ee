"""The command line ``symdiff``."""
