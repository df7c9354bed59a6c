"""What fastrun costs, beside what others cost for the same: see ``compare`` and the ``test_`` modules."""
