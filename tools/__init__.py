"""What is run by hand while fastrun is worked on; not part of the package."""
